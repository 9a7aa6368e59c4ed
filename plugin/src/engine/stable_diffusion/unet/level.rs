//! The levels of a U-Net: way down, middle, way up.

use std::ops::Range;
use std::sync::Arc;

use candle_core::Tensor;

use super::controls::Pass;
use super::transformer::Transformer;
use crate::engine::stable_diffusion::config::{DownBlock, UNetConfig, UpBlock};
use crate::engine::stable_diffusion::nn::{Checkpoint, Conv2d, Resnet, Slot, checkpoint};
use crate::engine::stable_diffusion::weights::Weights;
use crate::{Result, kernels};

/// What all blocks of a pass are given.
pub(super) struct Given<'a> {
    /// The time embedding after its activation, `[batch, width]`.
    pub(super) time: &'a Tensor,
    /// The text, `[batch, tokens, width]`.
    pub(super) context: &'a Tensor,
}

/// A residual block, and the transformer after it where the level has them.
#[derive(Debug)]
struct Step {
    resnet: Arc<Resnet>,
    transformer: Option<Transformer>,
}

impl Step {
    fn new(
        config: &UNetConfig,
        level: &Weights,
        index: usize,
        (inputs, depth): (usize, usize),
        attends: bool,
    ) -> Result<Self> {
        let outputs = config.block_out_channels[depth];
        let transformer = match attends {
            true => Some(Transformer::new(
                config,
                &level.at("attentions").at(index),
                depth,
            )?),
            false => None,
        };
        Ok(Self {
            resnet: resnet(config, &level.at("resnets").at(index), inputs, outputs)?,
            transformer,
        })
    }

    fn forward(&self, x: &Tensor, given: &Given<'_>, pass: &mut Pass<'_>) -> Result<Tensor> {
        let x = run(&self.resnet, x, given, pass)?;
        match &self.transformer {
            Some(transformer) => transformer.forward(&x, given.context, pass),
            None => Ok(x),
        }
    }
}

fn resnet(
    config: &UNetConfig,
    weights: &Weights,
    inputs: usize,
    outputs: usize,
) -> Result<Arc<Resnet>> {
    let time = 4 * config.block_out_channels[0];
    let (groups, eps) = (config.norm_num_groups, config.norm_eps);
    Ok(Arc::new(Resnet::new(
        weights,
        (inputs, outputs),
        Some(time),
        groups,
        eps,
    )?))
}

fn run(resnet: &Arc<Resnet>, x: &Tensor, given: &Given<'_>, pass: &Pass<'_>) -> Result<Tensor> {
    match pass.controls.checkpoint {
        true => checkpoint(resnet, x, std::slice::from_ref(given.time)),
        false => resnet.forward(x, Some(given.time)),
    }
}

impl Checkpoint for Resnet {
    fn forward(&self, x: &Tensor, small: &[Tensor]) -> Result<Tensor> {
        Resnet::forward(self, x, Some(&small[0]))
    }

    fn slots(&self) -> Vec<Slot> {
        Resnet::slots(self)
    }
}

/// A level on the way down.
#[derive(Debug)]
pub(super) struct Down {
    steps: Vec<Step>,
    smaller: Option<Conv2d>,
}

impl Down {
    pub(super) fn new(config: &UNetConfig, weights: &Weights, level: usize) -> Result<Self> {
        let channels = &config.block_out_channels;
        let outputs = channels[level];
        let attends = config.down_block_types[level] == DownBlock::CrossAttention;
        let mut inputs = channels[level.saturating_sub(1)];
        let mut steps = Vec::new();
        for i in 0..config.layers(level) {
            steps.push(Step::new(config, weights, i, (inputs, level), attends)?);
            inputs = outputs;
        }
        let smaller = match level + 1 < config.levels() {
            true => {
                let weights = weights.at("downsamplers.0.conv");
                Some(Conv2d::new(&weights, (outputs, outputs), 3, 2, 1)?)
            }
            false => None,
        };
        Ok(Self { steps, smaller })
    }

    /// Puts what the way up will be given on `skips`.
    pub(super) fn forward(
        &self,
        mut x: Tensor,
        skips: &mut Vec<Tensor>,
        given: &Given<'_>,
        pass: &mut Pass<'_>,
    ) -> Result<Tensor> {
        x = self.part(self.steps.len(), x, skips, given, pass)?;
        if let Some(smaller) = &self.smaller {
            x = smaller.forward(&x)?;
            skips.push(x.clone());
        }
        Ok(x)
    }

    /// The first `count` steps, as in [`forward`](Self::forward).
    pub(super) fn part(
        &self,
        count: usize,
        mut x: Tensor,
        skips: &mut Vec<Tensor>,
        given: &Given<'_>,
        pass: &mut Pass<'_>,
    ) -> Result<Tensor> {
        for step in self.steps.iter().take(count) {
            x = step.forward(&x, given, pass)?;
            skips.push(x.clone());
        }
        Ok(x)
    }
}

/// The middle.
#[derive(Debug)]
pub(super) struct Mid {
    first: Step,
    second: Arc<Resnet>,
}

impl Mid {
    pub(super) fn new(config: &UNetConfig, weights: &Weights) -> Result<Self> {
        let level = config.levels() - 1;
        let channels = config.block_out_channels[level];
        Ok(Self {
            first: Step::new(config, weights, 0, (channels, level), true)?,
            second: resnet(config, &weights.at("resnets.1"), channels, channels)?,
        })
    }

    pub(super) fn forward(
        &self,
        x: Tensor,
        given: &Given<'_>,
        pass: &mut Pass<'_>,
    ) -> Result<Tensor> {
        let x = self.first.forward(&x, given, pass)?;
        run(&self.second, &x, given, pass)
    }
}

/// A level on the way up.
#[derive(Debug)]
pub(super) struct Up {
    steps: Vec<Step>,
    larger: Option<Conv2d>,
}

impl Up {
    /// `index` counts from the coarsest level.
    pub(super) fn new(config: &UNetConfig, weights: &Weights, index: usize) -> Result<Self> {
        let channels = &config.block_out_channels;
        let level = config.levels() - 1 - index;
        let outputs = channels[level];
        let finer = channels[level.saturating_sub(1)];
        let attends = config.up_block_types[index] == UpBlock::CrossAttention;
        let mut inputs = channels[(level + 1).min(config.levels() - 1)];
        let layers = config.layers(level) + 1;
        let mut steps = Vec::new();
        for i in 0..layers {
            let skipped = match i + 1 < layers {
                true => outputs,
                false => finer,
            };
            steps.push(Step::new(
                config,
                weights,
                i,
                (inputs + skipped, level),
                attends,
            )?);
            inputs = outputs;
        }
        let larger = match index + 1 < config.levels() {
            true => Some(Conv2d::same(
                &weights.at("upsamplers.0.conv"),
                outputs,
                outputs,
            )?),
            false => None,
        };
        Ok(Self { steps, larger })
    }

    /// Takes its inputs from `skips`, the last first.
    pub(super) fn forward(
        &self,
        mut x: Tensor,
        skips: &mut Vec<Tensor>,
        given: &Given<'_>,
        pass: &mut Pass<'_>,
    ) -> Result<Tensor> {
        x = self.part(0..self.steps.len(), x, skips, given, pass)?;
        if let Some(larger) = &self.larger {
            x = kernels::upsample_nearest_2x(&x)?;
            // Where a size was odd, the way down rounded it up: twice it is one too large.
            if let Some(skip) = skips.last() {
                let (_, _, height, width) = skip.dims4()?;
                x = x.narrow(2, 0, height)?.narrow(3, 0, width)?.contiguous()?;
            }
            x = larger.forward(&x)?;
        }
        Ok(x)
    }

    /// These of its steps.
    pub(super) fn part(
        &self,
        steps: Range<usize>,
        mut x: Tensor,
        skips: &mut Vec<Tensor>,
        given: &Given<'_>,
        pass: &mut Pass<'_>,
    ) -> Result<Tensor> {
        for step in &self.steps[steps] {
            if let Some(skip) = skips.pop() {
                x = kernels::join(&x, &skip)?;
            }
            x = step.forward(&x, given, pass)?;
        }
        Ok(x)
    }

    /// Number of steps.
    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }
}
