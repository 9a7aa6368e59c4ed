//! A multigrid cycle: the system on coarser and coarser grids, where errors that are wide are quickly gone.
//!
//! Four cells are one on the next grid, and a correction is the same for all four. Links across a block's side are then
//! twice too stiff, for the whole difference of two blocks lies on one row of links: they are halved (the over-correction of
//! Braess, "Towards algebraic multigrid for elliptic problems of second order", 1995).

use rayon::prelude::*;

use crate::engine::patch::field::NONE;

/// Cells one task works on.
pub(super) const PIECE: usize = 4096;
/// Weight of a step of Jacobi's method: errors that change from cell to cell fall to about a half.
const DAMPED: f32 = 0.8;
/// A grid with so few cells is not made coarser, and its number of steps.
const FEW: usize = 64;
const STEPS: usize = 24;
/// Links are counted in units that are halved from grid to grid; after so many the count would not fit.
const MOST_GRIDS: usize = 9;

/// The three channels of a cell, and nothing: four values are one vector.
pub(super) type Quad = [f32; 4];

/// What the cells of a grid hold on to.
pub(super) struct Links {
    /// Neighbours left, right, above and below; a cell that has none is its own, without weight.
    to: Vec<[u32; 4]>,
    /// How firmly they hold together, out of 255 (on the finest grid).
    weights: Vec<[u16; 4]>,
    /// How firmly a cell is held to what is known, out of 1.
    anchors: Vec<f32>,
}

impl Links {
    /// For `count` cells, not linked yet.
    pub(super) fn new(count: usize) -> Self {
        Self {
            to: (0..count as u32).map(|i| [i; 4]).collect(),
            weights: vec![[0; 4]; count],
            anchors: vec![0.0; count],
        }
    }

    /// For each cell its neighbours, how firmly they hold together, and how firmly it is held to what is known.
    pub(super) fn rows(
        &mut self,
    ) -> impl IndexedParallelIterator<Item = (&mut [u32; 4], &mut [u16; 4], &mut f32)> {
        (&mut self.to, &mut self.weights, &mut self.anchors).into_par_iter()
    }
}

/// The equations on one grid.
pub(super) struct Grid {
    links: Links,
    /// Of the weights.
    unit: f32,
    diagonal: Vec<f32>,
    /// For each cell the one that holds it on the next coarser grid; for each of its cells those on the next finer one.
    parents: Vec<u32>,
    children: Vec<[u32; 4]>,
    /// Room for a correction, for the next one, and for what it is to explain.
    x: Vec<Quad>,
    next: Vec<Quad>,
    wanted: Vec<Quad>,
}

/// All grids, finest first.
pub(super) struct Grids(Vec<Grid>);

impl Grids {
    /// The finest grid's cells lie at `places`, column and row.
    pub(super) fn new(links: Links, mut places: Vec<[u32; 2]>) -> Self {
        let mut grids = vec![Grid::new(links, 1.0 / 255.0, Vec::new())];
        while places.len() > FEW && grids.len() < MOST_GRIDS {
            let last = grids.len() - 1;
            let coarser = grids[last].coarser(&mut places);
            grids.push(coarser);
        }
        // The finest grid's equations bring their own.
        for grid in &mut grids[1..] {
            grid.wanted = grid.x.clone();
            grid.next = grid.x.clone();
        }
        Self(grids)
    }

    pub(super) fn finest(&self) -> &Grid {
        &self.0[0]
    }

    /// Holds each cell of the finest grid to something known, by its weight in `pulls` more.
    pub(super) fn anchor(&mut self, mut pulls: Vec<f32>) {
        for grid in &mut self.0 {
            for (diagonal, pull) in grid.diagonal.iter_mut().zip(&pulls) {
                *diagonal += pull;
            }
            let mut sums = vec![0.0; grid.parents.iter().max().map_or(0, |&p| p as usize + 1)];
            for (&parent, pull) in grid.parents.iter().zip(&pulls) {
                sums[parent as usize] += pull;
            }
            pulls = sums;
        }
    }

    /// Sets `better` to about the solution for `wanted`: one cycle down to the coarsest grid and up again. A symmetric and
    /// positive linear function, as conjugate gradients need it.
    pub(super) fn precondition(&mut self, wanted: &[Quad], better: &mut [Quad]) {
        cycle(&mut self.0, wanted, better);
    }
}

fn cycle(grids: &mut [Grid], wanted: &[Quad], out: &mut [Quad]) {
    let [grid, coarser @ ..] = grids else {
        return;
    };
    let mut x = std::mem::take(&mut grid.x);
    let first = |(i, x): (usize, &mut Quad)| *x = wanted[i].map(|v| v * DAMPED / grid.diagonal[i]);
    x.par_iter_mut()
        .with_min_len(PIECE)
        .enumerate()
        .for_each(first);
    if let [coarse, ..] = coarser {
        let (mut told, mut correction) = (
            std::mem::take(&mut coarse.wanted),
            std::mem::take(&mut coarse.next),
        );
        told.par_iter_mut()
            .zip(&coarse.children)
            .with_min_len(PIECE / 4)
            .for_each(|(told, children)| {
                *told = [0.0; 4];
                for &i in children.iter().filter(|&&i| i != NONE) {
                    let i = i as usize;
                    let ax = grid.apply(&x, i);
                    for c in 0..4 {
                        told[c] += wanted[i][c] - ax[c];
                    }
                }
            });
        cycle(coarser, &told, &mut correction);
        x.par_iter_mut()
            .zip(&grid.parents)
            .with_min_len(PIECE)
            .for_each(|(x, &parent)| {
                let by = correction[parent as usize];
                for c in 0..4 {
                    x[c] += by[c];
                }
            });
        (coarser[0].wanted, coarser[0].next) = (told, correction);
        grid.step(wanted, &x, out);
    } else {
        for _ in 0..STEPS / 2 {
            grid.step(wanted, &x, out);
            grid.step(wanted, out, &mut x);
        }
        out.copy_from_slice(&x);
    }
    grid.x = x;
}

impl Grid {
    fn new(links: Links, unit: f32, children: Vec<[u32; 4]>) -> Self {
        let weights = links
            .weights
            .iter()
            .map(|w| w.map(f32::from).iter().sum::<f32>() * unit);
        let diagonal: Vec<f32> = weights
            .zip(&links.anchors)
            .map(|(w, anchor)| w + anchor)
            .collect();
        Self {
            x: vec![[0.0; 4]; diagonal.len()],
            links,
            unit,
            diagonal,
            parents: Vec::new(),
            children,
            next: Vec::new(),
            wanted: Vec::new(),
        }
    }

    /// The next grid; this one's cells are told their parents, and `places` are the next one's then.
    fn coarser(&mut self, places: &mut Vec<[u32; 2]>) -> Self {
        let side = |axis: usize| places.iter().map(|p| p[axis] / 2 + 1).max().unwrap_or(0) as usize;
        let (across, down) = (side(0), side(1));
        let mut slots = vec![NONE; across * down];
        let (mut next, mut children) = (Vec::new(), Vec::new());
        for (i, [x, y]) in (0u32..).zip(&*places) {
            let slot = &mut slots[(y / 2) as usize * across + (x / 2) as usize];
            if *slot == NONE {
                *slot = next.len() as u32;
                next.push([x / 2, y / 2]);
                children.push([NONE; 4]);
            }
            self.parents.push(*slot);
            children[*slot as usize][(x % 2 + y % 2 * 2) as usize] = i;
        }
        let mut links = Links::new(next.len());
        for (i, &parent) in self.parents.iter().enumerate() {
            let at = parent as usize;
            links.anchors[at] += self.links.anchors[i];
            for (side, (&to, &weight)) in self.links.to[i]
                .iter()
                .zip(&self.links.weights[i])
                .enumerate()
            {
                let there = self.parents[to as usize];
                if there != parent {
                    links.to[at][side] = there;
                    links.weights[at][side] += weight;
                }
            }
        }
        // Surrounded by veils, a part's mean is what it was: anything but 0 will do.
        for (anchor, _) in links
            .anchors
            .iter_mut()
            .zip(&links.weights)
            .filter(|(a, w)| **a == 0.0 && **w == [0; 4])
        {
            *anchor = 1.0;
        }
        *places = next;
        Self::new(links, self.unit / 2.0, children)
    }

    /// `A·x` at cell `i`.
    #[inline(always)]
    fn apply(&self, x: &[Quad], i: usize) -> Quad {
        let mut sum = [0.0f32; 4];
        for (&link, &weight) in self.links.to[i].iter().zip(&self.links.weights[i]) {
            let (n, weight) = (x[link as usize], f32::from(weight));
            for c in 0..4 {
                sum[c] += weight * n[c];
            }
        }
        std::array::from_fn(|c| x[i][c] * self.diagonal[i] - self.unit * sum[c])
    }

    /// Calls `each` with every cell, its value in `out`, and `A·x` there.
    pub(super) fn each(
        &self,
        x: &[Quad],
        out: &mut [Quad],
        each: impl Fn(usize, &mut Quad, Quad) + Sync,
    ) {
        out.par_iter_mut()
            .with_min_len(PIECE)
            .enumerate()
            .for_each(|(i, out)| each(i, out, self.apply(x, i)));
    }

    /// One damped step of Jacobi's method from `x` towards the solution for `wanted`.
    fn step(&self, wanted: &[Quad], x: &[Quad], out: &mut [Quad]) {
        self.each(x, out, |i, out, ax| {
            let by = DAMPED / self.diagonal[i];
            *out = std::array::from_fn(|c| x[i][c] + by * (wanted[i][c] - ax[c]));
        });
    }
}
