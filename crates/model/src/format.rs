//! Export formats and the forms in which records are taken in.

/// A format of an export (`natalia.md` section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExportFormat {
    /// Comma-separated values with BOM and header.
    Csv,
    /// The same bytes in one gzip member.
    CsvGz,
    /// Apache Parquet.
    Parquet,
    /// One JSON array.
    Json,
    /// One JSON object a line.
    Ndjson,
}

impl ExportFormat {
    /// Every format.
    pub const ALL: [Self; 5] = [Self::Csv, Self::CsvGz, Self::Parquet, Self::Json, Self::Ndjson];

    /// Its name, which is also the file name's extension.
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::CsvGz => "csv.gz",
            Self::Parquet => "parquet",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
        }
    }

    /// The format of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Media type of the answer.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::CsvGz => "application/gzip",
            Self::Parquet => "application/vnd.apache.parquet",
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
        }
    }

    /// Is it CSV, packed or not?
    pub fn is_csv(self) -> bool {
        matches!(self, Self::Csv | Self::CsvGz)
    }

    /// Is it JSON, as an array or in lines?
    pub fn is_json(self) -> bool {
        matches!(self, Self::Json | Self::Ndjson)
    }
}

/// A form of the native record body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordForm {
    /// One JSON object a line.
    Ndjson,
    /// One JSON array of objects.
    JsonArray,
    /// Comma-separated values whose header names fields of the record.
    Csv,
}
