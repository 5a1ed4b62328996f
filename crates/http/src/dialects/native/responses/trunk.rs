//! A trunk.

use serde::Serialize;
use tollbook_model::call::Trunk;
use utoipa::ToSchema;

/// A trunk, as call records name it.
#[derive(Serialize, ToSchema)]
#[schema(as = Trunk)]
pub(crate) struct TrunkView {
    /// Its id: the source's own, else a UUID made of its name.
    id: String,
    /// Its name; the id, where the source gave nothing else.
    name: String,
}

/// A trunk, as call records name it.
pub(crate) fn trunk(trunk: &Trunk) -> TrunkView {
    TrunkView { id: trunk.id.clone(), name: trunk.name.clone() }
}
