//! A pose in words: a text model redraws the subject where it was and where it shall be, and nothing else.
//!
//! From noise the model samples the picture's crop under the words that say what it shall show. In all but the last steps the
//! picture as it is is held up to it, and what was learned of the subject is not on it; after the first ones, which lay out the
//! figure, what lies outside the old and the new silhouette is set back. With DDIM the noise is the one that the crop inverts to,
//! which keeps more of what was there, and follows the words less. Pins, a guide or a placement, if given, set the latent it
//! starts from. The law of unmasked pixels does not rest on the model: what is outside the layer's mask is the document's own.

mod cast;
mod look;
mod path;
mod plan;
mod preview;
mod region;
mod room;
mod sample;
mod seam;
mod told;
mod turns;
mod variant;
mod watch;

use super::{Found, Posed, Work, asks_for_shape, locate, mask_depth};
use crate::canvas::{Canvas, Grid, Image, Layer, Mask, Rect, Role, grow};
use crate::engine::patch::field::mix;
use crate::engine::stable_diffusion::Cache;
use crate::engine::stable_diffusion::frame::Frame;
use crate::engine::stable_diffusion::model::Model;
use crate::engine::stable_diffusion::sampler::{Method, Noise, Sampler};
use crate::engine::stable_diffusion::unet::Controls;
use crate::learn::picture_hash;
use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::request::Repose;
use crate::subject::{Library, Subject};
use crate::{Error, Result};
use candle_core::Tensor;
use cast::Cast;
use look::{Learned, Look, Source};
use path::Path;
use plan::Plan;
use region::Region;
use sample::Run;
use told::{Phases, Told};
use turns::Turn;
pub use variant::Variant;
use watch::Watch;

/// Share of the silhouette's longer side by which an edit may reach beyond it where neither attention nor a shape tells
/// where the new silhouette will be.
const ROOM: f32 = 0.15;
/// The seed's stream for the noise that the picture itself is shown under.
const PATH_STREAM: u64 = 1;

/// Whether a request asks for a text model.
pub fn asked(request: &Repose) -> bool {
    let prompt = request.prompt.as_deref().unwrap_or_default();
    request.words.is_some() || !prompt.trim().is_empty()
}

/// Re-poses by words: find the subject, give it a rough shape if one is asked for, sample, decode, match colours, in this
/// order.
///
/// # Errors
/// As the library and the models; `Caller` where the request does not say enough.
pub fn run(
    request: &Repose,
    library: &Library,
    models: &mut Cache,
    progress: &Progress,
) -> Result<Outcome> {
    progress.begin(100);
    progress.stage("subject")?;
    let (subject, used) = library.load(&request.subject, request.version)?;
    let shaped = asks_for_shape(request);
    let cast = Cast::new(request, &subject, library)?;
    let plan = Plan::new(request, &subject, &cast, shaped)?;
    let canvas = Canvas::new(&request.picture)?;
    let found = locate(&canvas, request, &subject)?;
    let plan = plan.seeing(found.removal.is_some());
    progress.stage("model")?;
    let edited = found.removal.as_ref();
    let edited = edited.map(|_| picture_hash(&request.picture));
    let sources = Source::all(&subject, &used, edited.as_deref(), library)?;
    let model = models.open(plan.model.as_deref(), &plan.texts(), &cast.taught())?;
    let texts = Texts::new(model, &plan)?;
    let rough = match shaped || found.removal.is_none() {
        true => Some(Rough::new(&canvas, request, &subject, &found, progress)?),
        false => None,
    };
    let wanted = plan.side.unwrap_or(model.side());
    let (layers, side) = room::within(wanted, |side| {
        let scene = Scene::new(&canvas, request, &found, rough.as_ref(), &plan, model, side)?;
        let learned = Learned::all(&sources, &plan, model, side, request.seed, &mut || {
            progress.check()
        })?;
        redraw(&canvas, request, &plan, &scene, &texts, &learned, progress)
    })?;
    cast.log(library)?;
    let mut outcome = Outcome {
        layers,
        subject: Some(used),
        model: Some(model.reference()),
    };
    if side < wanted {
        for layer in &mut outcome.layers {
            // The only place where every host shows it.
            layer.name += &format!(" (at {side} px: the device's memory was full)");
        }
    }
    Ok(outcome)
}

/// Samples, decodes and matches colours: the layers.
fn redraw(
    canvas: &Canvas<'_>,
    request: &Repose,
    plan: &Plan,
    scene: &Scene,
    texts: &Texts<'_>,
    learned: &[Learned],
    progress: &Progress,
) -> Result<Vec<Layer>> {
    let model = texts.model;
    let mut layers = Vec::new();
    let old = scene.old.as_ref().filter(|_| plan.identity > 0.0);
    let looks = usize::from(old.is_some()) + learned.len();
    let mut watch = Watch::new(scene, model, progress, request.candidates, looks);
    let latents = Latents::new(scene, model, progress)?;
    watch.know(&latents.start)?;
    let path = scene.path(&latents, texts, request.seed, &mut watch)?;
    // Several pictures count as much as one: with ω for each, the benchmark saw fewer of the poses that were asked for.
    let weight = plan.identity / looks.max(1) as f32;
    let own = old.map(|subject| Look {
        path: &path,
        told: texts.told.source(),
        subject,
        // Its surroundings are the result's, too. On 24 subjects, 2 seeds each, at ω = 3: success 73 %, background 26.9 dB;
        // with the subject alone, at its best ω of 1, 60 % and 24.1 dB.
        whole: !plan.variant.mask,
        weight,
    });
    let learned = learned.iter().map(|one| one.look(weight));
    let looks: Vec<Look<'_>> = own.into_iter().chain(learned).collect();
    for candidate in 0..request.candidates {
        progress.stage("sampling")?;
        watch.candidate(candidate);
        let run = Run {
            model,
            frame: scene.frame,
            region: &scene.region,
            path: &path,
            start: &latents.start,
            told: &texts.told,
            looks: &looks,
            masked: latents.masked.as_ref(),
            guidance: plan.guidance(model),
            rescale: plan.rescale,
            variant: plan.variant,
            first: scene.first,
            turns: &scene.turns,
        };
        let seed = mix(request.seed ^ u64::from(candidate));
        let made = run.run(
            scene.sampler.clone(),
            seed,
            &|| progress.check(),
            &mut |done, denoised, region| watch.step(done, denoised, region),
        )?;
        progress.stage("decoding")?;
        let picture = model.decode(&made.latent, &mut || progress.check())?;
        let result = scene.frame.of_model(&picture)?;
        let mask = scene.region.pixels(&made.region);
        let colours = seam::match_colour(&scene.picture, &result, &mask);
        watch.decoded(candidate)?;
        let place = mask.support();
        let name = match request.candidates {
            1 => format!("{}, re-posed", request.subject),
            _ => format!("{}, re-posed {}", request.subject, candidate + 1),
        };
        let rect = scene.frame.rect;
        layers.push(canvas.layer(
            &name,
            candidate,
            Role::Subject,
            Rect {
                x: rect.x + place.x,
                y: rect.y + place.y,
                ..place
            },
            &colours.crop(place),
            &mask.crop(place),
            mask_depth(request),
        )?);
    }
    Ok(layers)
}

/// The part of the picture that is worked on, as it is and as it begins.
struct Scene {
    frame: Frame,
    /// The picture in the frame.
    picture: Image,
    /// The same with the deformed subject over restored background, where a shape was asked for.
    rough: Option<Image>,
    /// Where the subject was, on the frame's pixels.
    old: Option<Mask>,
    region: Region,
    sampler: Sampler,
    /// First index of the sampler's run.
    first: usize,
    /// The steps from there.
    turns: Vec<Turn>,
}

impl Scene {
    fn new(
        canvas: &Canvas<'_>,
        request: &Repose,
        found: &Found,
        rough: Option<&Rough>,
        plan: &Plan,
        model: &Model,
        side: usize,
    ) -> Result<Self> {
        let all = canvas.bounds();
        let free = plan.wording.subjects.is_empty() || model.inpainting();
        let parts = [
            found.removal.clone(),
            rough.map(|r| (r.posed.rect, r.posed.matte.clone())),
        ];
        let mut parts: Vec<(Rect, Mask)> = parts.into_iter().flatten().collect();
        if free && rough.is_none() {
            for (rect, mask) in &mut parts {
                let room = (rect.width.max(rect.height) as f32 * ROOM).ceil() as usize;
                let larger = rect.grown(room, all.width, all.height);
                *mask = grow(&mask.placed(*rect, larger), room);
                *rect = larger;
            }
        }
        parts.retain(|(rect, _)| rect.width > 0);
        let edit = parts.iter().map(|(rect, _)| *rect).reduce(Rect::union);
        let edit = edit.ok_or_else(|| {
            Error::caller("the new pose lies outside the picture: nothing is left to paint")
        })?;
        let frame = Frame::around((all.width, all.height), edit, side, model.factor());
        let mut asked = Mask::new(frame.rect.width, frame.rect.height, 0.0);
        for (rect, mask) in &parts {
            let mask = mask.placed(*rect, frame.rect);
            for (a, m) in asked.data_mut().iter_mut().zip(mask.data()) {
                *a = a.max(*m);
            }
        }
        let picture = canvas.image(frame.rect)?;
        let (method, steps) = plan.sampling(model);
        let sampler = Sampler::new(method, model.schedule(), steps)?;
        let first = sampler.start_at(plan.strength).min(sampler.steps() - 1);
        Ok(Self {
            rough: rough.map(|r| r.over(&picture, frame.rect)),
            old: found
                .removal
                .as_ref()
                .map(|(rect, mask)| mask.placed(*rect, frame.rect)),
            region: Region::new(frame, asked),
            frame,
            picture,
            turns: plan.turns(model, first, sampler.steps(), request.seed),
            sampler,
            first,
        })
    }

    /// Whether the way of the picture to noise is found by inversion: DDIM goes the way it came. Other samplers, and
    /// inpainting models, which are told what is around, get the straight way.
    fn inverts(&self, model: &Model) -> bool {
        self.sampler.method() == Method::Ddim && !model.inpainting()
    }

    /// The picture at each noise level.
    fn path(
        &self,
        latents: &Latents,
        texts: &Texts,
        seed: u64,
        watch: &mut Watch<'_>,
    ) -> Result<Path> {
        if !self.inverts(texts.model) {
            let mut noise = Noise::new(seed, PATH_STREAM);
            return Ok(Path::Straight {
                noise: noise.tensor(latents.picture.dims(), texts.model.device())?,
                clean: latents.picture.clone(),
            });
        }
        watch.stage("inverting")?;
        let model = texts.model;
        let source = &texts.told.learned.source;
        let controls = Controls {
            memory: Some(source.memory.clone()),
            ..Controls::default()
        };
        Path::invert(
            &latents.picture,
            model.schedule(),
            self.sampler.steps(),
            self.first,
            &mut |sample, t| {
                watch.inverted()?;
                Ok(model.predict(sample, &[t], &[&source.text], &controls)?.0)
            },
        )
    }
}

/// The frame's latents.
struct Latents {
    /// The picture's.
    picture: Tensor,
    /// What the edit starts from.
    start: Tensor,
    /// The picture's with the region blanked, for inpainting models.
    masked: Option<Tensor>,
}

impl Latents {
    fn new(scene: &Scene, model: &Model, progress: &Progress) -> Result<Self> {
        progress.stage("encoding")?;
        let encode = |image: &Image| {
            let picture = scene.frame.to_model(image, model.device())?;
            model.encode(&picture, &mut || progress.check())
        };
        let picture = encode(&scene.picture)?;
        let start = match &scene.rough {
            Some(rough) => encode(rough)?,
            None => picture.clone(),
        };
        let masked = match model.inpainting() {
            true => Some(encode(&scene.blanked())?),
            false => None,
        };
        Ok(Self {
            picture,
            start,
            masked,
        })
    }
}

impl Scene {
    /// The picture with grey where the edit may act, as inpainting models were trained.
    fn blanked(&self) -> Image {
        let free = self.frame.mask_of_latent(&self.region.latent(None));
        Grid::from_fn(self.picture.width(), self.picture.height(), |x, y| {
            match free.at(x, y) >= 0.5 {
                true => [0.5; 3],
                false => self.picture.at(x, y),
            }
        })
    }
}

/// The words, encoded.
struct Texts<'a> {
    model: &'a Model,
    told: Phases<Told>,
}

impl<'a> Texts<'a> {
    fn new(model: &'a Model, plan: &Plan) -> Result<Self> {
        let told = |wording| Told::new(model, wording, plan);
        let unlearned = plan.unlearned.as_ref();
        let unlearned = unlearned.map(|wording| model.without_delayed(|| told(wording)));
        Ok(Self {
            model,
            told: Phases {
                learned: told(&plan.wording)?,
                unlearned: unlearned.transpose()?,
            },
        })
    }
}

/// What the patch engine makes of a request's shape: where the text model starts.
struct Rough {
    below: Option<(Rect, Image)>,
    posed: Posed,
    colours: Image,
}

impl Rough {
    fn new(
        canvas: &Canvas<'_>,
        request: &Repose,
        subject: &Subject,
        found: &Found,
        progress: &Progress,
    ) -> Result<Self> {
        let posed = found.posed(canvas, request)?;
        let work = Work {
            canvas,
            request,
            subject,
            found,
            posed: &posed,
            progress,
        };
        let (below, colours) = work.made(mix(request.seed), &mut |_| progress.check())?;
        Ok(Self {
            below,
            posed,
            colours,
        })
    }

    /// The rough result over the picture, both on `rect`.
    fn over(&self, picture: &Image, rect: Rect) -> Image {
        let mut image = picture.clone();
        let mut lay = |part: &Image, at: Rect, matte: &dyn Fn(usize, usize) -> f32| {
            for y in 0..at.height {
                for x in 0..at.width {
                    let column = (at.x + x).checked_sub(rect.x).filter(|c| *c < rect.width);
                    let row = (at.y + y).checked_sub(rect.y).filter(|r| *r < rect.height);
                    if let Some((column, row)) = column.zip(row) {
                        let (a, p, b) = (matte(x, y), part.at(x, y), image.at(column, row));
                        let mixed = std::array::from_fn(|c| a * p[c] + (1.0 - a) * b[c]);
                        image.set(column, row, mixed);
                    }
                }
            }
        };
        if let Some((at, below)) = &self.below {
            lay(below, *at, &|_, _| 1.0);
        }
        lay(&self.colours, self.posed.rect, &|x, y| {
            self.posed.matte.at(x, y)
        });
        image
    }
}
