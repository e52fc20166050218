//! New keys.

/// Letters and digits, evenly drawn; `None` where the system gives no random bytes.
pub fn random_text(length: usize) -> Option<String> {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let mut bytes = [0; 64];
        getrandom::fill(&mut bytes).ok()?;
        // Only values below 4 * 62 are used, so that no letter is likelier than another.
        let letters = bytes.iter().filter(|byte| **byte < 248);
        let letters = letters.filter_map(|byte| LETTERS.get(usize::from(byte % 62)));
        text.extend(letters.take(length - text.len()).map(|letter| char::from(*letter)));
    }
    Some(text)
}

/// A SecretId and a SecretKey.
pub fn new_pair() -> Option<(String, String)> {
    Some((format!("AKID{}", random_text(32)?), random_text(32)?))
}
