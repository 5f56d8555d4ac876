//! Marks fields as required in the OpenAPI description. A response contains every field, null if it has no value; the
//! derived description marks every nullable field as optional, so clients would have to handle three cases.

use utoipa::openapi::schema::ArrayItems;
use utoipa::openapi::{OpenApi, RefOr, Schema};

/// Request types, in which a nullable field is optional.
const REQUESTS: [&str; 4] = ["DecodeRequest", "ImageForm", "ThresholdRequest", "WantedCriterion"];

/// Marks every field of a response as required.
pub(super) fn require_fields_of_answers(description: &mut OpenApi) {
    let schemas = description.components.iter_mut().flat_map(|components| &mut components.schemas);
    for (_, schema) in schemas.filter(|(name, _)| !REQUESTS.contains(&name.as_str())) {
        require_fields(schema);
    }
}

fn require_fields(schema: &mut RefOr<Schema>) {
    let RefOr::T(schema) = schema else { return };
    match schema {
        Schema::Object(object) => {
            object.required = object.properties.keys().cloned().collect();
            object.properties.values_mut().for_each(require_fields);
        }
        Schema::Array(array) => {
            if let ArrayItems::RefOrSchema(items) = &mut array.items {
                require_fields(items);
            }
        }
        Schema::OneOf(parts) => parts.items.iter_mut().for_each(require_fields),
        Schema::AllOf(parts) => parts.items.iter_mut().for_each(require_fields),
        Schema::AnyOf(parts) => parts.items.iter_mut().for_each(require_fields),
        _ => {}
    }
}
