//! Hosts and ports.

use tollgate_proxy::normalize;

use crate::reference;

/// Authorities: the reference agrees; a canonical host stays itself, alone and with the port.
pub fn authority(data: &[u8]) {
    let found = normalize::authority(data).map(|found| (found.host.into_owned(), found.port));
    assert_eq!(found.clone().ok(), reference::authority(data), "{found:?}");
    let Ok((host, port)) = found else { return };
    assert!(
        host.bytes()
            .all(|byte| !byte.is_ascii_uppercase() && (byte.is_ascii_alphanumeric() || b"-._~:[]".contains(&byte)))
    );
    assert!(!host.is_empty() && !host.ends_with('.') && host.len() <= 255);
    let again = |text: &str| normalize::authority(text.as_bytes()).map(|found| (found.host.into_owned(), found.port));
    assert_eq!(again(&host), Ok((host.clone(), None)));
    if let Some(port) = port {
        assert_eq!(again(&format!("{host}:{port}")), Ok((host, Some(port))));
    }
}
