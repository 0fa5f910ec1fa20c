//! Reading the file: what is wrong with it is said with its line, and never with its contents.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use restow::Error as OpError;
use restow::storage::{Place, StorageKinds};

use super::{Config, Several, beside, nearest};

/// Keys that could only hold a secret in plain text.
const SECRETS: &[&str] =
    &["passphrase", "password", "passwd", "secret", "key", "restow_passphrase"];

pub fn read(file: &Path) -> Result<Config> {
    let shown = file.display();
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the configuration {shown}"))?;
    let mode = std::fs::metadata(file).map(|found| found.mode()).unwrap_or_default();
    if mode & 0o002 != 0 && mode & 0o170_000 == 0o100_000 {
        bail!(OpError::Usage(format!(
            "{shown} can be written by everybody, and commands in it are run: chmod o-w {shown}"
        )));
    }
    let mut config: Config = toml::from_str(&text)
        .map_err(|error| OpError::Usage(explained(&shown.to_string(), &text, &error)))?;
    check(&config).map_err(|message| OpError::Usage(format!("{shown}: {message}")))?;
    let folder =
        std::path::absolute(file).with_context(|| format!("cannot find the folder of {shown}"))?;
    resolve(&mut config, folder.parent().unwrap_or(Path::new("/")));
    Ok(config)
}

/// The message, the line, and where a name is unknown the nearest one. The text of the line stays unsaid:
/// it may be a secret.
fn explained(file: &str, text: &str, error: &toml::de::Error) -> String {
    let start = error.span().map_or(0, |span| span.start);
    let line = text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1;
    let message = error.message();
    let Some(unknown) = message.strip_prefix("unknown field `") else {
        return format!("{file}, line {line}: {}", without_values(message));
    };
    let mut quoted = unknown.split('`');
    let key = quoted.next().unwrap_or_default();
    let known: Vec<&str> = quoted.skip(1).step_by(2).collect();
    if SECRETS.contains(&key.to_ascii_lowercase().as_str()) {
        return format!(
            "{file}, line {line}: {key:?}: no secret belongs in this file; name where it comes from: \
             passphrase-command, passphrase-file or key-file"
        );
    }
    let hint = match nearest(key, known.iter().copied()) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("there are: {}", known.join(", ")),
    };
    format!("{file}, line {line}: unknown field {key:?}; {hint}")
}

/// serde quotes the value it did not expect.
fn without_values(message: &str) -> String {
    match (message.split_once(" \""), message.rsplit_once("\", ")) {
        (Some((before, _)), Some((_, after))) => format!("{before}, {after}"),
        _ => message.to_owned(),
    }
}

/// What the types do not say.
fn check(config: &Config) -> Result<(), String> {
    let known = |name: &str| config.repositories.contains_key(name);
    let unknown = |name: &str| {
        let near = nearest(name, config.repositories.keys().map(String::as_str));
        let hint = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
        format!("no repository {name:?} is configured{hint}")
    };
    if let Some(name) = &config.default_repository
        && !known(name)
    {
        return Err(format!("default-repository: {}", unknown(name)));
    }
    for (name, repository) in &config.repositories {
        let secrets = [
            repository.passphrase_command.is_some(),
            repository.passphrase_file.is_some(),
            repository.key_file.is_some(),
        ];
        if secrets.iter().filter(|given| **given).count() > 1 {
            return Err(format!(
                "repository {name:?}: one of passphrase-command, passphrase-file and key-file will do"
            ));
        }
    }
    if let Some(fault) = config.retention.as_ref().and_then(|retention| retention.policy().fault())
    {
        return Err(format!("retention: {fault}"));
    }
    for (name, source) in &config.sources {
        if let Some(fault) =
            source.retention.as_ref().and_then(|retention| retention.policy().fault())
        {
            return Err(format!("source {name:?}: retention: {fault}"));
        }
        let given = (&source.source, &source.command);
        let message = match given {
            (Some(several), None) if several.as_slice().is_empty() => "source is empty",
            (None, Some(command)) if command.is_empty() => "command is empty",
            (Some(_), None) | (None, Some(_)) => "",
            _ => "say either source or command",
        };
        if !message.is_empty() {
            return Err(format!("source {name:?}: {message}"));
        }
        if let Some(wanted) = source.repository.as_deref().filter(|wanted| !known(wanted)) {
            return Err(format!("source {name:?}: {}", unknown(wanted)));
        }
    }
    Ok(())
}

/// Makes every path absolute, so that it means the same wherever restow is run.
fn resolve(config: &mut Config, folder: &Path) {
    let fix = |path: &mut PathBuf| *path = beside(folder, path);
    for repository in config.repositories.values_mut() {
        // A scheme that is unknown is told when the repository is opened.
        let place = StorageKinds::default().place(&repository.place).ok();
        if let Some(path) = place.as_ref().and_then(Place::folder) {
            repository.place = beside(folder, path).to_string_lossy().into_owned();
        }
        repository.passphrase_file.iter_mut().for_each(fix);
        repository.key_file.iter_mut().for_each(fix);
        repository.cache.iter_mut().for_each(fix);
    }
    for source in config.sources.values_mut() {
        source.exclude_file.iter_mut().for_each(fix);
        source.temp_dir.iter_mut().for_each(fix);
        source.env_file.iter_mut().for_each(fix);
        match &mut source.source {
            Some(Several::One(one)) => resolve_source(one, folder),
            Some(Several::Many(many)) => {
                many.iter_mut().for_each(|one| resolve_source(one, folder))
            }
            None => {}
        }
    }
}

fn resolve_source(source: &mut String, folder: &Path) {
    // `scheme:path` keeps its scheme, a URL stays as it is; a colon behind a slash belongs to a path.
    let (scheme, path) = match source.split_once(':') {
        Some((scheme, path)) if !scheme.is_empty() && !scheme.contains('/') => (Some(scheme), path),
        _ => (None, source.as_str()),
    };
    let resolved = || beside(folder, Path::new(path)).to_string_lossy().into_owned();
    match scheme {
        None => *source = resolved(),
        Some(kind @ ("sqlite" | "file" | "qdrant-file")) => {
            *source = format!("{kind}:{}", resolved())
        }
        Some(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("restow.toml");
        std::fs::write(&file, text).unwrap();
        read(&file).unwrap_err().to_string()
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line_and_without_secrets() {
        let cases = [
            (
                "\n[repositories.a]\nplase = 'x'\n",
                "line 3: unknown field \"plase\"; did you mean \"place\"?",
            ),
            ("[sources.a]\nsource = 'x'\nzzz = 1\n", "there are: source, command"),
            ("[repositories.a]\nplace = 'x'\npassphrase = 'hunter2'\n", "passphrase-command"),
            ("[repositories.a]\nplace = 1\n", "line 2: invalid type"),
            ("[sources.a]\nsource = 'x'\npermanent = 'hunter2'\n", "expected a boolean"),
            ("[repositories.a]\nplace = 'hunter2\n", "line 2"),
            (
                "default-repository = 'home'\n[repositories.hom]\nplace = 'x'",
                "did you mean \"hom\"",
            ),
            ("[sources.a]\n", "either source or command"),
            ("[retention]\n", "retention: no rule"),
            ("[retention]\nkeep-last = 0\n", "line 2"),
            ("[retention]\nkeep-weekly = 0\n", "1 or more"),
            ("[retention]\nkeep-daily = 'soon'\n", "like 36h"),
            ("[retention]\nkeep-within = 30\n", "like 36h"),
            ("[retention]\nkeep-dayly = 1\n", "did you mean \"keep-daily\""),
            ("[retention]\nmax-size = '5X'\n", "like 500M"),
            ("[sources.a]\nsource = 'x'\nretention = { keep-tag = ['x'] }\n", "keep-tag alone"),
            ("[sources.a]\nsource = 'x'\nrepository = 'none'\n", "no repository \"none\""),
            ("[repositories.a]\nplace = 'x'\nkey-file = 'x'\npassphrase-file = 'x'\n", "one of"),
        ];
        for (text, expected) in cases {
            let said = refused(text);
            assert!(said.contains(expected), "{text}: {said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn paths_lie_beside_the_file() {
        let cases = [
            ("site", "/etc/x/site"),
            ("/var/site", "/var/site"),
            ("sqlite:app.db", "sqlite:/etc/x/app.db"),
            ("mysql://host/db", "mysql://host/db"),
            ("./a:b", "/etc/x/./a:b"),
        ];
        for (given, expected) in cases {
            let mut source = given.to_owned();
            resolve_source(&mut source, Path::new("/etc/x"));
            assert_eq!(source, expected);
        }
    }
}
