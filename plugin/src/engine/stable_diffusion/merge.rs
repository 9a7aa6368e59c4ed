//! Subjects that were learned apart as changes of the keys and values which a U-Net's attentions make of the text, put on
//! together: Custom Diffusion's closed-form merge (arXiv 2212.04488, §3.3, equation 4).
//!
//! Wanted is the change Δ that makes of each subject's words C_i what its own change Δ_i makes of them, and of other words as
//! little as can be: min ‖C_reg Δᵀ‖ so that C Δᵀ = R, with R's rows C_i Δ_iᵀ. With G = C_regᵀ C_reg it is Δᵀ = P R,
//! P = G⁻¹ Cᵀ (C G⁻¹ Cᵀ)⁻¹. P does not depend on the projection, and Δ_i = B_i A_i stays of its rank: A_i becomes
//! A_i C_iᵀ P_iᵀ.
//!
//! Differences: the paper's authors take C_reg from a thousand captions of photographs and C from one prompt for each subject;
//! here C_reg are captions put together from words, and G gets a small multiple of the identity, as these do not fill its space.

use candle_core::{DType, Device, Tensor};
use nalgebra::{Cholesky, DMatrix};

use super::model::Model;
use super::text::NewWords;
use crate::subject::TextFacts;
use crate::{Error, Result};

/// What words that mean no subject are taken from: each thing at each place.
const THINGS: [&str; 12] = [
    "a photo of a man",
    "a painting of a woman",
    "two children",
    "a red car",
    "a dog running",
    "an old house",
    "a bowl of fruit",
    "a white bird",
    "many flowers",
    "a blue boat",
    "a wooden chair",
    "a cat sleeping",
];
const PLACES: [&str; 6] = [
    "on a beach",
    "in a dark forest, seen from behind",
    "beside a table",
    "in front of a mountain at sunset",
    "under a bridge in the city",
    "on a street with people",
];
/// What a subject's words stand in.
const TOLD: [&str; 4] = [
    "a photo of a {}",
    "a {} beside a tree",
    "a painting of the {} on a table",
    "two people and a {}",
];
const BESIDE: &str = "a photo of a thing with {}";
/// The multiple of the identity, as a share of G's mean diagonal.
const DAMPING: f64 = 1e-3;

/// For each subject the matrix, `[width, width]`, that its A is to be multiplied by.
///
/// # Errors
/// As the text encoders; `Refused` if two subjects have the same words.
pub fn shares(model: &Model, words: &NewWords, subjects: &[&TextFacts]) -> Result<Vec<Tensor>> {
    let mut others = Vec::new();
    for thing in THINGS {
        for place in PLACES {
            let text = model.text(&format!("{thing} {place}"), words)?;
            others.push(text.told()?);
        }
    }
    let concepts = subjects.iter().map(|facts| {
        let phrase = format!("{} {}", facts.token, facts.word);
        let mut rows = Vec::new();
        for told in TOLD {
            let text = model.text(&told.replace("{}", &phrase), words)?;
            let places = model.find(&text, &phrase, words)?;
            rows.push(text.at(&places)?);
        }
        // What its pictures show beside it was learned with the same changes.
        for word in &facts.beside {
            let text = model.text(&BESIDE.replace("{}", word), words)?;
            let places = model.find(&text, word, words)?;
            rows.push(text.at(&places)?);
        }
        matrix(&rows)
    });
    let concepts: Vec<DMatrix<f64>> = concepts.collect::<Result<_>>()?;
    let shares = solve(&concepts, &matrix(&others)?).ok_or_else(|| {
        Error::refused(
            "these subjects cannot be put on together: their words mean the same to the text model. Pose them one by one",
        )
    })?;
    shares.iter().map(|m| tensor(m, model.device())).collect()
}

/// C_iᵀ P_iᵀ for each subject's words (rows of features); `None` if the words of two are the same.
fn solve(concepts: &[DMatrix<f64>], others: &DMatrix<f64>) -> Option<Vec<DMatrix<f64>>> {
    let width = others.ncols();
    let mut gram = others.tr_mul(others);
    let damping = DAMPING * gram.trace() / width as f64;
    for n in 0..width {
        gram[(n, n)] += damping;
    }
    let rows: Vec<_> = concepts.iter().flat_map(|c| c.row_iter()).collect();
    let all = DMatrix::from_rows(&rows);
    // G⁻¹ Cᵀ, and from it P.
    let spread = Cholesky::new(gram)?.solve(&all.transpose());
    let mut among = &all * &spread;
    // Words of one subject in several texts are nearly the same.
    let damping = 1e-9 * among.trace() / among.nrows() as f64;
    for n in 0..among.nrows() {
        among[(n, n)] += damping;
    }
    let p = Cholesky::new(among)?.solve(&spread.transpose());
    let mut from = 0;
    let mut shares = Vec::with_capacity(concepts.len());
    for concept in concepts {
        let own = p.rows(from, concept.nrows());
        shares.push(concept.tr_mul(&own));
        from += concept.nrows();
    }
    Some(shares)
}

/// Rows of features as one matrix.
fn matrix(rows: &[Tensor]) -> Result<DMatrix<f64>> {
    let rows = Tensor::cat(rows, 0)?.to_dtype(DType::F64)?;
    let (count, width) = rows.dims2()?;
    let values: Vec<f64> = rows.flatten_all()?.to_vec1()?;
    Ok(DMatrix::from_row_slice(count, width, &values))
}

fn tensor(matrix: &DMatrix<f64>, device: &Device) -> Result<Tensor> {
    // Columns lie behind each other there, rows here.
    let values: Vec<f32> = matrix.transpose().iter().map(|v| *v as f32).collect();
    Ok(Tensor::from_vec(values, matrix.shape(), device)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(rows: usize, columns: usize, seed: u64) -> DMatrix<f64> {
        let mut state = seed;
        DMatrix::from_fn(rows, columns, |_, _| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
            (state >> 33) as f64 / f64::from(1u32 << 30) - 1.0
        })
    }

    #[test]
    fn each_subjects_words_get_its_own_change_and_no_others() {
        let (width, rank, out) = (24, 3, 10);
        let concepts = [random(4, width, 1), random(3, width, 2)];
        let others = random(60, width, 3);
        let shares = solve(&concepts, &others).expect("words that differ");
        let changes = [5, 6].map(|seed| random(out, rank, seed) * random(rank, width, seed + 9));
        let merged = &changes[0] * &shares[0] + &changes[1] * &shares[1];
        for (concept, change) in concepts.iter().zip(&changes) {
            let (wanted, made) = (change * concept.transpose(), &merged * concept.transpose());
            assert!((wanted.clone() - made).norm() < 1e-5 * wanted.norm());
        }
        // A plain sum mixes them, and changes other words more.
        let sum = &changes[0] + &changes[1];
        let wanted = &changes[0] * concepts[0].transpose();
        assert!((wanted.clone() - &sum * concepts[0].transpose()).norm() > 0.1 * wanted.norm());
        assert!((&merged * others.transpose()).norm() < 0.8 * (&sum * others.transpose()).norm());
    }

    #[test]
    fn tensors_have_the_same_rows() -> Result<()> {
        let wanted = random(2, 3, 7);
        let there = tensor(&wanted, &Device::Cpu)?;
        assert!((matrix(&[there])? - wanted).norm() < 1e-6);
        Ok(())
    }
}
