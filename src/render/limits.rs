//! How much one rendering may read and make. Every bound is a setting; the error that it leads to names it.

/// Bounds of one rendering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenderLimits {
    /// Size of one file, in bytes.
    pub max_file_size: u64,
    /// Number of files that are read.
    pub max_files: usize,
    /// Size of all files together, and of all objects together as JSON, in bytes.
    pub max_total_size: u64,
    /// How many folders a file may be below the source's path.
    pub max_folder_depth: usize,
    /// Number of objects.
    pub max_objects: usize,
    /// Size of one object as canonical JSON, in bytes. What is much larger does not fit into etcd.
    pub max_object_size: usize,
}

impl RenderLimits {
    /// Name of the setting behind [`Self::max_file_size`].
    pub const MAX_FILE_SIZE: &'static str = "render-max-file-size";
    /// Name of the setting behind [`Self::max_files`].
    pub const MAX_FILES: &'static str = "render-max-files";
    /// Name of the setting behind [`Self::max_total_size`].
    pub const MAX_TOTAL_SIZE: &'static str = "render-max-total-size";
    /// Name of the setting behind [`Self::max_folder_depth`].
    pub const MAX_FOLDER_DEPTH: &'static str = "render-max-folder-depth";
    /// Name of the setting behind [`Self::max_objects`].
    pub const MAX_OBJECTS: &'static str = "render-max-objects";
    /// Name of the setting behind [`Self::max_object_size`].
    pub const MAX_OBJECT_SIZE: &'static str = "render-max-object-size";
}

impl Default for RenderLimits {
    fn default() -> Self {
        Self {
            max_file_size: 10 << 20,
            max_files: 10_000,
            max_total_size: 100 << 20,
            max_folder_depth: 32,
            max_objects: 20_000,
            max_object_size: 3 << 19,
        }
    }
}
