//! The answers of those who decide about peers.
#![forbid(unsafe_code)]

/// Why a peer was not let in, by the codes of RFC 27/ZAP.
///
/// ```
/// use peermq::AuthStatus;
///
/// assert_eq!(AuthStatus::Refused.code(), 400);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthStatus {
    /// 500: whoever decides could not. The peer is told.
    Failed,
    /// 300: not now. The peer is not told, and may come back.
    NotNow,
    /// 400: not with these credentials. The peer is told.
    Refused,
}

impl AuthStatus {
    /// The code: 300, 400 or 500.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Failed => 500,
            Self::NotNow => 300,
            Self::Refused => 400,
        }
    }

    /// The code as text, as it is on the wire.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Failed => "500",
            Self::NotNow => "300",
            Self::Refused => "400",
        }
    }

    pub(crate) fn from_text(text: &[u8]) -> Option<Self> {
        [Self::Failed, Self::NotNow, Self::Refused].into_iter().find(|it| it.text().as_bytes() == text)
    }
}
