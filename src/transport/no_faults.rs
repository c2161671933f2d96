//! Outside of the tests, system calls fail by themselves only.
#![forbid(unsafe_code)]

use std::io;
#[cfg(unix)]
use std::io::{IoSlice, IoSliceMut};

use mio::{Interest, Registry, Token};

use crate::transport::call::Call;

#[inline]
pub(crate) const fn before(_: Call) -> io::Result<()> {
    Ok(())
}

#[inline]
pub(crate) const fn before_ready(_: Call, _: Option<i32>) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
#[inline]
pub(crate) fn read<S>(
    _: &S,
    room: &mut [IoSliceMut<'_>],
    read: impl FnOnce(&mut [IoSliceMut<'_>]) -> io::Result<usize>,
) -> io::Result<usize> {
    read(room)
}

#[cfg(unix)]
#[inline]
pub(crate) fn write<S>(
    _: &S,
    slices: &[IoSlice<'_>],
    write: impl FnOnce(&[IoSlice<'_>]) -> io::Result<usize>,
) -> io::Result<usize> {
    write(slices)
}

#[inline]
pub(crate) const fn entered(_: Option<i32>, _: &Registry, _: Token, _: Interest) {}

#[inline]
pub(crate) const fn left(_: Option<i32>) {}

#[inline]
pub(crate) fn inherit<T>(run: impl FnOnce() -> T + Send) -> impl FnOnce() -> T + Send {
    run
}
