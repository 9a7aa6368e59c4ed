#![allow(clippy::unwrap_used)]
use super::*;
use quick_xml::Reader;
use quick_xml::events::Event;

fn example(consent: &str) -> History {
    history(
        Action::Repose,
        "abcd",
        Some(SubjectUse {
            name: "Bär & <Söhne>".into(),
            version: 3,
            sha256: "ef".into(),
            consent: consent.into(),
            consent_expires: Some("2030-01-01".into()),
        }),
        u64::MAX,
    )
    .by_words(Some("a bear <lora:x> & \"it\""))
}

/// Checks that the packet is well-formed and returns the text of each element.
fn texts(xml: &str) -> Vec<(String, String)> {
    let mut reader = Reader::from_str(xml);
    reader.config_mut().check_end_names = true;
    let (mut open, mut found) = (Vec::<(String, String)>::new(), Vec::new());
    loop {
        match reader.read_event().unwrap() {
            Event::Start(e) => {
                let name = e.name().as_ref().to_owned();
                open.push((name, String::new()));
            }
            Event::Text(t) => {
                if let Some(last) = open.last_mut() {
                    last.1.push_str(&t);
                }
            }
            Event::GeneralRef(r) => {
                let name: &str = &r;
                let text = match r.resolve_char_ref().unwrap() {
                    Some(c) => c.to_string(),
                    None => quick_xml::escape::resolve_predefined_entity(name)
                        .unwrap()
                        .to_owned(),
                };
                open.last_mut().unwrap().1.push_str(&text);
            }
            Event::End(_) => found.push(open.pop().unwrap()),
            Event::Eof => break,
            _ => {}
        }
    }
    assert!(open.is_empty());
    found
}

#[test]
fn the_packet_is_well_formed_and_gives_the_history_back() {
    for consent in [
        "mine",
        "a ]]> \" ' & < > \t\n\r é 🐻 \u{0} \u{1b} \u{ffff}",
        "</stEvt:parameters>",
    ] {
        let history = example(consent);
        let xml = xmp(&history);
        let found = texts(&xml);
        let text = |name: &str| &found.iter().find(|(n, _)| n == name).unwrap().1;
        assert_eq!(text("Iptc4xmpExt:DigitalSourceType"), SOURCE_TYPE);
        assert_eq!(text("xmp:CreatorTool"), &history.tool);
        assert_eq!(text("stEvt:softwareAgent"), &history.tool);
        assert_eq!(text("stEvt:when"), &history.at);
        let back: History = serde_json::from_str(text("stEvt:parameters")).unwrap();
        if consent.contains('\u{ffff}') {
            // XML cannot hold it; JSON writes the other control characters as escapes.
            assert_eq!(
                back.subject.unwrap().consent,
                consent.replace('\u{ffff}', "\u{fffd}")
            );
        } else {
            assert_eq!(back, history);
        }
        assert!(xml.starts_with("<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>"));
        assert!(xml.ends_with("<?xpacket end=\"w\"?>"));
    }
}

#[test]
fn the_time_is_utc_and_the_json_names_are_kept() {
    let history = example("mine");
    assert!(history.at.ends_with('Z') && history.at.parse::<jiff::Timestamp>().is_ok());
    let json = serde_json::to_value(&history).unwrap();
    for key in [
        "tool",
        "engine",
        "action",
        "at",
        "request_sha256",
        "seed",
        "model_sha256",
        "subject",
        "digital_source_type",
    ] {
        assert!(json.get(key).is_some(), "{key}");
    }
}
