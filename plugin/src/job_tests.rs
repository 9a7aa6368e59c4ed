//! Accidents on the job thread.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use super::*;

/// What a test asks the thread to do.
enum Ask {
    Answer(u32),
    Panic,
    Fail,
    /// Work until cancelled.
    Wait,
}

fn queue(length: usize) -> Queue<Ask, u32> {
    Queue::start(length, |ask, progress| match ask {
        Ask::Answer(n) => Ok(*n),
        Ask::Panic => panic!("on purpose"),
        Ask::Fail => Err(Error::files("no such file")),
        Ask::Wait => loop {
            progress.stage("waiting")?;
            std::thread::sleep(Duration::from_millis(1));
        },
    })
    .unwrap()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn ended(job: &Job<Ask, u32>) -> State {
    until("the job ends", || job.end().is_some());
    job.state()
}

fn running(job: &Job<Ask, u32>) {
    until("the job runs", || {
        job.progress().snapshot().stage == "waiting"
    });
    assert_eq!(job.state(), State::Running);
}

#[test]
fn jobs_end_in_order_with_their_own_results() {
    let queue = queue(8);
    let jobs: Vec<_> = (0..8)
        .map(|n| queue.submit(Ask::Answer(n)).unwrap())
        .collect();
    for (n, job) in jobs.iter().enumerate() {
        assert_eq!(ended(job), State::Done);
        assert_eq!(job.end().unwrap().as_ref().unwrap(), &(n as u32));
    }
}

#[test]
fn panic_inside_a_job_spares_the_next_one() {
    let queue = queue(8);
    let bad = queue.submit(Ask::Panic).unwrap();
    let good = queue.submit(Ask::Answer(7)).unwrap();
    assert_eq!(ended(&bad), State::Failed);
    let error = bad.end().unwrap().as_ref().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Bug);
    assert!(error.message.contains("on purpose"), "{error}");
    assert_eq!(ended(&good), State::Done);
}

#[test]
fn an_error_is_kept_as_it_is() {
    let queue = queue(8);
    let job = queue.submit(Ask::Fail).unwrap();
    assert_eq!(ended(&job), State::Failed);
    assert_eq!(job.end().unwrap(), &Err(Error::files("no such file")));
}

#[test]
fn cancel_while_running() {
    let queue = queue(8);
    let job = queue.submit(Ask::Wait).unwrap();
    running(&job);
    job.cancel();
    assert_eq!(ended(&job), State::Cancelled);
}

#[test]
fn cancel_while_queued_ends_at_once() {
    let queue = queue(8);
    let first = queue.submit(Ask::Wait).unwrap();
    let second = queue.submit(Ask::Answer(1)).unwrap();
    let third = queue.submit(Ask::Answer(2)).unwrap();
    running(&first);
    assert_eq!(second.state(), State::Queued);
    second.cancel();
    assert_eq!(second.state(), State::Cancelled);
    assert_eq!(first.state(), State::Running);
    first.cancel();
    assert_eq!(ended(&third), State::Done);
    assert_eq!(second.state(), State::Cancelled);
}

#[test]
fn cancel_after_the_end_changes_nothing() {
    let queue = queue(8);
    let job = queue.submit(Ask::Answer(1)).unwrap();
    assert_eq!(ended(&job), State::Done);
    job.cancel();
    assert_eq!(job.state(), State::Done);
}

#[test]
fn a_full_queue_says_so_and_recovers() {
    let queue = queue(2);
    let first = queue.submit(Ask::Wait).unwrap();
    running(&first);
    let waiting = [
        queue.submit(Ask::Wait).unwrap(),
        queue.submit(Ask::Wait).unwrap(),
    ];
    let error = queue.submit(Ask::Wait).err().unwrap();
    assert_eq!(error.kind, ErrorKind::Busy);
    assert_eq!(queue.room(), Err(error));
    first.cancel();
    running(&waiting[0]);
    queue.room().unwrap();
    queue.submit(Ask::Wait).unwrap();
}

#[test]
fn closed_with_a_job_running_and_others_waiting() {
    let queue = queue(8);
    let jobs: Vec<_> = (0..4).map(|_| queue.submit(Ask::Wait).unwrap()).collect();
    running(&jobs[0]);
    drop(queue);
    for job in &jobs {
        assert_eq!(job.state(), State::Cancelled);
    }
}

#[test]
fn closed_right_after_a_submit() {
    for _ in 0..200 {
        let queue = queue(1);
        let job = queue.submit(Ask::Wait).unwrap();
        drop(queue);
        assert_eq!(job.state(), State::Cancelled);
    }
}

#[test]
fn many_threads_submit_and_cancel_at_once() {
    let queue = queue(4);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for n in 0..50 {
                    match queue.submit(Ask::Answer(n)) {
                        Ok(job) => {
                            job.cancel();
                            let state = ended(&job);
                            assert!(matches!(state, State::Done | State::Cancelled), "{state:?}");
                        }
                        Err(error) => assert_eq!(error.kind, ErrorKind::Busy),
                    }
                }
            });
        }
    });
}
