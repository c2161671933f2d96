//! What is to be done to the last of several things, although what is done to one of them may panic: the drop of a body,
//! or a waker, is foreign code.
#![forbid(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

/// Does `act` to each of the items. The first that panics ends the call, behind the others, whose panics are over; and so
/// are all on a thread that panics already, which would abort the process.
#[inline]
pub(crate) fn do_each<T>(items: impl IntoIterator<Item = T>, act: impl FnMut(T)) {
    let mut rest = Rest { items: items.into_iter(), act };
    if thread::panicking() {
        return; // the drop does all
    }
    for item in rest.items.by_ref() {
        (rest.act)(item);
    }
}

/// What is left when one has panicked.
struct Rest<I: Iterator, F: FnMut(I::Item)> {
    items: I,
    act: F,
}

impl<I: Iterator, F: FnMut(I::Item)> Drop for Rest<I, F> {
    #[inline]
    fn drop(&mut self) {
        let Self { items, act } = self;
        for item in items {
            let _ = catch_unwind(AssertUnwindSafe(|| act(item)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_panics_keeps_nothing_from_being_done() {
        let mut done = Vec::new();
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            do_each(0..5, |number| {
                done.push(number);
                assert!(number % 2 == 0, "{number}: this panic is part of the test");
            });
        }));
        let panic = panicked.unwrap_err().downcast::<String>().unwrap();
        assert_eq!(*panic, "1: this panic is part of the test");
        assert_eq!(done, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn what_panics_on_a_thread_that_panics_is_over() {
        struct Last<'a>(&'a mut u32);
        impl Drop for Last<'_> {
            fn drop(&mut self) {
                do_each(0..5, |_| {
                    *self.0 += 1;
                    panic!("this panic is part of the test");
                });
            }
        }
        let mut done = 0;
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _last = Last(&mut done);
            panic!("the first");
        }));
        assert_eq!((*panicked.unwrap_err().downcast::<&str>().unwrap(), done), ("the first", 5));
    }
}
