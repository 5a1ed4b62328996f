//! Sources in files: one TOML file each, applied at every start.

use std::path::Path;
use tollbook_app::App;
use tollbook_connect::settings_from_toml;
use tollbook_kit::fault::Fault;
use tollbook_model::access::Caller;
use tollbook_model::tenant::TenantName;

/// Puts the source of every `*.toml` file of the folder, named after the file. A source whose file says what is known
/// already keeps its version.
///
/// # Errors
/// `invalid`, naming the file, when the folder or one of its files cannot be read or is wrong.
pub(crate) async fn apply(app: &App, folder: &Path) -> Result<(), Fault> {
    let process = Caller::system(TenantName::default_tenant());
    let unreadable = |path: &Path, error: std::io::Error| {
        Fault::parameter(path.display().to_string(), format!("cannot be read: {error}"))
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| unreadable(folder, error))? {
        let path = entry.map_err(|error| unreadable(folder, error))?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    let (count, mut changed) = (files.len(), 0);
    for path in files {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
        let alias = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let definition =
            settings_from_toml(&text).map_err(|fault| Fault::parameter(&shown, fault.to_string()))?;
        let kept = app.sources.keep(&process, alias, definition).await;
        changed += u32::from(kept.map_err(|fault| Fault::parameter(&shown, fault.to_string()))?);
    }
    // Not their names, which may be phone numbers.
    tracing::info!(files = count, changed, "sources of files");
    Ok(())
}
