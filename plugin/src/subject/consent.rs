//! Who allowed a subject to be learned: checked when it is given, enforced whenever the subject is used.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The longest statement, in characters.
pub const MAX_STATEMENT: usize = 4000;

/// Who allowed a subject to be learned, for what, until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// Who gives it and for what, in the user's own words; must not be blank.
    pub statement: String,
    /// Whether the subject is a real person's likeness.
    pub person: bool,
    /// The person's explicit yes; required where `person` is true.
    pub person_agrees: bool,
    /// Last day on which the subject may be used, `YYYY-MM-DD` (UTC); `None` for no end.
    pub expires: Option<String>,
}

/// What was withdrawn and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// When, UTC (RFC 3339).
    pub at: String,
    /// Why, in the user's words; may be empty.
    pub reason: String,
}

/// Whether a subject may be used on a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It may.
    Valid,
    /// The last day has passed.
    Expired(String),
    /// It was withdrawn.
    Revoked(Revocation),
}

impl Standing {
    /// `valid`, `expired` or `revoked`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Expired(_) => "expired",
            Self::Revoked(_) => "revoked",
        }
    }
}

/// The day it is now, in UTC.
pub fn today() -> Date {
    jiff::Timestamp::now()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .date()
}

impl Consent {
    /// Whether a subject may be learned under this consent on `today`. `Refused` for a missing statement, a missing
    /// yes of a person or a last day that has passed; `Caller` for text that cannot be read.
    pub fn check(&self, today: Date) -> Result<()> {
        if self.statement.trim().is_empty() {
            return Err(Error::refused(
                "a subject is learned only with consent: say who allows it and for what (the statement is blank)",
            ));
        }
        let length = self.statement.chars().count();
        if length > MAX_STATEMENT {
            return Err(Error::caller(format!(
                "the consent statement has {length} characters, at most {MAX_STATEMENT} are kept: shorten it"
            )));
        }
        if self.person && !self.person_agrees {
            return Err(Error::refused(
                "this subject is a person's likeness and the person's own yes is not recorded: ask the person, then \
                 state that the person agrees",
            ));
        }
        if let Some(last) = self.last_day()?
            && last < today
        {
            return Err(Error::refused(format!(
                "this consent ended on {last} and today is {today} (UTC): record a consent that is still valid"
            )));
        }
        Ok(())
    }

    /// The last day of use, if there is one. `Caller` unless it is written `YYYY-MM-DD`.
    pub fn last_day(&self) -> Result<Option<Date>> {
        let Some(text) = &self.expires else {
            return Ok(None);
        };
        let date = (text.len() == 10).then(|| text.parse::<Date>());
        match date {
            Some(Ok(date)) => Ok(Some(date)),
            _ => Err(Error::caller(format!(
                "the consent's last day must be written YYYY-MM-DD, such as 2030-12-31; “{text}” came"
            ))),
        }
    }

    /// Whether it holds on `today`, not asking for revocations.
    pub fn standing(&self, today: Date) -> Standing {
        match self.last_day() {
            Ok(None) => Standing::Valid,
            Ok(Some(last)) if today <= last => Standing::Valid,
            // A last day that cannot be read is not one that lies ahead.
            _ => Standing::Expired(self.expires.clone().unwrap_or_default()),
        }
    }
}

/// The error for a subject that may not be used, saying what can be done.
pub fn enforce(standing: &Standing, name: &str, version: u32) -> Result<()> {
    let why = match standing {
        Standing::Valid => return Ok(()),
        Standing::Expired(last) => format!("ended on {last}"),
        Standing::Revoked(r) if r.reason.is_empty() => format!("was revoked on {}", r.at),
        Standing::Revoked(r) => format!("was revoked on {} ({})", r.at, r.reason),
    };
    Err(Error::refused(format!(
        "the consent for subject “{name}”, version {version}, {why}: it can no longer be used. If it is allowed again, \
         record the new consent (renew); otherwise delete the subject"
    )))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ErrorKind;

    fn consent() -> Consent {
        Consent {
            statement: "my own bear".into(),
            person: false,
            person_agrees: false,
            expires: None,
        }
    }

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn a_blank_statement_is_refused() {
        for statement in ["", "  ", "\n\t"] {
            let c = Consent {
                statement: statement.into(),
                ..consent()
            };
            assert_eq!(c.check(today()).unwrap_err().kind, ErrorKind::Refused);
        }
        consent().check(today()).unwrap();
    }

    #[test]
    fn a_person_needs_the_persons_yes() {
        let mut c = Consent {
            person: true,
            ..consent()
        };
        let error = c.check(today()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused);
        assert!(error.message.contains("person"), "{error}");
        c.person_agrees = true;
        c.check(today()).unwrap();
    }

    #[test]
    fn the_last_day_is_included() {
        let c = Consent {
            expires: Some("2026-03-01".into()),
            ..consent()
        };
        assert_eq!(c.standing(day("2026-02-28")), Standing::Valid);
        assert_eq!(c.standing(day("2026-03-01")), Standing::Valid);
        assert_eq!(
            c.standing(day("2026-03-02")),
            Standing::Expired("2026-03-01".into())
        );
        assert_eq!(
            c.check(day("2026-03-02")).unwrap_err().kind,
            ErrorKind::Refused
        );
        let message = enforce(&c.standing(day("2027-01-01")), "Bear", 2)
            .unwrap_err()
            .message;
        assert!(
            message.contains("2026-03-01") && message.contains("renew"),
            "{message}"
        );
    }

    #[test]
    fn a_last_day_in_other_words_is_the_callers_mistake() {
        for text in [
            "",
            "tomorrow",
            "2026-13-01",
            "2026-2-1",
            "01.02.2026",
            "2026-02-30",
            "20260201T1",
        ] {
            let c = Consent {
                expires: Some(text.into()),
                ..consent()
            };
            let error = c.check(day("2020-01-01")).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Caller, "{text}");
            assert!(
                matches!(c.standing(day("2020-01-01")), Standing::Expired(_)),
                "{text}"
            );
        }
    }
}
