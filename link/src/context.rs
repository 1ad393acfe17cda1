//! Contexts of the `nats` CLI: `~/.config/nats/context/<name>.json`, the selected one named in
//! `context.txt`.

use crate::settings::{Settings, SettingsError};
use serde::Deserialize;
use std::path::{Path, PathBuf};

#[derive(Default, Deserialize)]
#[serde(default)]
struct ContextFile {
    url: String,
    token: String,
    user: String,
    password: String,
    creds: String,
    nkey: String,
    cert: String,
    key: String,
    ca: String,
    inbox_prefix: String,
    tls_first: bool,
}

/// The named context; without a name the selected one, if `use_selected`.
pub(crate) fn load(
    name: Option<&str>,
    use_selected: bool,
) -> Result<Option<Settings>, SettingsError> {
    let folder = folder();
    let name = match (name, &folder) {
        (Some(name), _) => name.to_owned(),
        (None, Some(folder)) if use_selected => match selected(folder) {
            Some(name) => name,
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    let wrong = |reason: String| SettingsError::Context { name: name.clone(), reason };
    let path = if name.ends_with(".json") {
        PathBuf::from(&name)
    } else if name.contains(['/', '\\']) || name.contains("..") {
        return Err(wrong("a context name has no path in it".into()));
    } else {
        let folder =
            folder.ok_or_else(|| wrong("neither HOME nor XDG_CONFIG_HOME is set".into()))?;
        folder.join("context").join(format!("{name}.json"))
    };
    let text = std::fs::read_to_string(&path)
        .map_err(|error| wrong(format!("cannot read `{}`: {error}", path.display())))?;
    let file: ContextFile =
        serde_json::from_str(&text).map_err(|error| wrong(format!("malformed: {error}")))?;
    file.into_settings().map(Some).map_err(wrong)
}

fn folder() -> Option<PathBuf> {
    let var = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    var("XDG_CONFIG_HOME").or_else(|| Some(var("HOME")?.join(".config"))).map(|p| p.join("nats"))
}

fn selected(folder: &Path) -> Option<String> {
    let name = std::fs::read_to_string(folder.join("context.txt")).ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

impl ContextFile {
    fn into_settings(self) -> Result<Settings, String> {
        let text = |value: String| (!value.is_empty()).then_some(value);
        let path = |value: String| text(value).map(|value| PathBuf::from(expand_home(&value)));
        Ok(Settings {
            url: text(self.url),
            user: text(secret(self.user)?),
            password: text(secret(self.password)?),
            token: text(secret(self.token)?),
            creds: path(self.creds),
            nkey: path(self.nkey),
            ca: path(self.ca),
            cert: path(self.cert),
            key: path(self.key),
            tls_first: self.tls_first.then_some(true),
            inbox_prefix: text(self.inbox_prefix),
            context: None,
            prefix: None,
        })
    }
}

fn expand_home(path: &str) -> String {
    match (path.strip_prefix('~'), std::env::var("HOME")) {
        (Some(rest), Ok(home)) => format!("{home}{rest}"),
        _ => path.to_owned(),
    }
}

/// A secret may be kept elsewhere: `env://NAME`, `file://PATH`.
fn secret(value: String) -> Result<String, String> {
    if let Some(name) = value.strip_prefix("env://") {
        return std::env::var(name).map_err(|_| format!("variable `{name}` is not set"));
    }
    if let Some(path) = value.strip_prefix("file://") {
        return std::fs::read_to_string(path)
            .map(|text| text.trim_end().to_owned())
            .map_err(|error| format!("cannot read `{path}`: {error}"));
    }
    match value.split_once("://") {
        Some((scheme @ ("op" | "nsc"), _)) => {
            Err(format!("secrets by `{scheme}://` are not supported; use `env://` or `file://`"))
        }
        _ => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_file_by_path_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prod.json");
        std::fs::write(&path, r#"{"url":"nats://c:1","user":"u","description":"x"}"#).unwrap();
        let settings = load(path.to_str(), false).unwrap().unwrap();
        assert_eq!(
            (settings.url.as_deref(), settings.user.as_deref()),
            (Some("nats://c:1"), Some("u"))
        );
        assert!(load(Some("../../etc/passwd"), false).is_err());
        assert!(secret("op://vault/x".into()).is_err());
    }
}
