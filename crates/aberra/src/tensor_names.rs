//! Names of the tensors of a detector file.

/// The tensor of the normals' thumbnails.
pub(crate) const THUMBNAILS: &str = "normals/thumbnails";

/// What the names of the weights of a user's own backbone begin with.
pub(crate) const BACKBONE: &str = "backbone/";

/// What the names of a member's tensors begin with.
pub(crate) fn member_prefix(name: &str) -> String {
    format!("members/{name}/")
}

/// The tensor of the embeddings of the normals that are not in training; those in training are the member's reference.
pub(crate) fn embeddings_name(name: &str) -> String {
    format!("normals/{name}/embeddings")
}
