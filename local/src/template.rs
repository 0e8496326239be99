//! Does what `sam package` does to `template.yaml`: it replaces only the location of the code.

/// The functions in a template: the `<name>` of each line `CodeUri: functions/<name>/`, in order, without duplicates.
pub(crate) fn functions(template: &str) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for name in template.lines().filter_map(code_of) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The template with each function's code at `uri_of(name)`. Everything else stays the same, byte for byte.
pub(crate) fn package(
    template: &str,
    uri_of: impl Fn(&str) -> anyhow::Result<String>,
) -> anyhow::Result<String> {
    let mut packaged = String::with_capacity(template.len());
    for line in template.split_inclusive('\n') {
        match code_of(line) {
            Some(name) => {
                let indent = line.len() - line.trim_start().len();
                packaged.extend(line.chars().take(indent));
                packaged.push_str("CodeUri: ");
                packaged.push_str(&uri_of(name)?);
                packaged.extend(line.ends_with('\n').then_some('\n'));
            }
            None => packaged.push_str(line),
        }
    }
    Ok(packaged)
}

fn code_of(line: &str) -> Option<&str> {
    let folder = line.trim().strip_prefix("CodeUri:")?.trim().strip_prefix("functions/")?;
    let name = folder.strip_suffix('/').unwrap_or(folder);
    (!name.is_empty() && !name.contains('/')).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "\
Resources:
  # CodeUri: functions/comment/
  A:
    Properties:
      CodeUri: functions/settings-api/
      Handler: bootstrap   \r
  B:
    Properties:
      CodeUri: functions/settings-api/
  C:
    Properties:
      CodeUri: functions/database-progress/";

    #[test]
    fn each_function_is_named_once() {
        assert_eq!(functions(TEMPLATE), ["settings-api", "database-progress"]);
    }

    #[test]
    fn only_the_code_uris_change() {
        let packaged = package(TEMPLATE, |name| Ok(format!("s3://b/{name}.zip"))).unwrap();
        let expected = TEMPLATE
            .replace("CodeUri: functions/settings-api/", "CodeUri: s3://b/settings-api.zip")
            .replace("CodeUri: functions/database-progress/", "CodeUri: s3://b/database-progress.zip");
        assert_eq!(packaged, expected);
    }
}
