//! JSON in which an object is an object.
//!
//! serde reads a struct also from an array, field by field in the order of declaration: a request that nobody meant
//! would be understood. This deserializer passes everything on as it is, at every level, and refuses only that.

use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Unexpected, VariantAccess,
    Visitor,
};

/// A deserializer, a seed or an access, watched.
pub(super) struct Strict<T>(pub T);

/// What a value is handed to. Where it is an object, an array is refused.
struct Watched<V> {
    visitor: V,
    is_object: bool,
}

impl<V> Watched<V> {
    fn any(visitor: V) -> Self {
        Self { visitor, is_object: false }
    }

    fn object(visitor: V) -> Self {
        Self { visitor, is_object: true }
    }
}

macro_rules! hints {
    ($($method:ident($($argument:ident: $type:ty),*) $kind:ident),+ $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method($($argument,)* Watched::$kind(visitor))
        }
    )+};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Strict<D> {
    type Error = D::Error;

    hints! {
        deserialize_any() any,
        deserialize_bool() any,
        deserialize_i8() any,
        deserialize_i16() any,
        deserialize_i32() any,
        deserialize_i64() any,
        deserialize_i128() any,
        deserialize_u8() any,
        deserialize_u16() any,
        deserialize_u32() any,
        deserialize_u64() any,
        deserialize_u128() any,
        deserialize_f32() any,
        deserialize_f64() any,
        deserialize_char() any,
        deserialize_str() any,
        deserialize_string() any,
        deserialize_bytes() any,
        deserialize_byte_buf() any,
        deserialize_option() any,
        deserialize_unit() any,
        deserialize_unit_struct(name: &'static str) any,
        deserialize_newtype_struct(name: &'static str) any,
        deserialize_seq() any,
        deserialize_tuple(len: usize) any,
        deserialize_tuple_struct(name: &'static str, len: usize) any,
        deserialize_map() any,
        deserialize_struct(name: &'static str, fields: &'static [&'static str]) object,
        deserialize_enum(name: &'static str, variants: &'static [&'static str]) any,
        deserialize_identifier() any,
        deserialize_ignored_any() any,
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

macro_rules! scalars {
    ($($method:ident $type:ty),+ $(,)?) => {$(
        fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.visitor.$method(value)
        }
    )+};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Watched<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    scalars! {
        visit_bool bool,
        visit_i64 i64,
        visit_i128 i128,
        visit_u64 u64,
        visit_u128 u128,
        visit_f64 f64,
        visit_str &str,
        visit_borrowed_str &'de str,
        visit_string String,
        visit_bytes &[u8],
        visit_borrowed_bytes &'de [u8],
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_some(Strict(deserializer))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_newtype_struct(Strict(deserializer))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<V::Value, A::Error> {
        if self.is_object {
            return Err(Error::invalid_type(Unexpected::Seq, &self));
        }
        self.visitor.visit_seq(Strict(seq))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(Strict(map))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_enum(Strict(data))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Strict<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Strict(deserializer))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_element_seed(Strict(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_key_seed(Strict(seed))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(Strict(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for Strict<A> {
    type Error = A::Error;
    type Variant = Strict<A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        self.0.variant_seed(Strict(seed)).map(|(value, variant)| (value, Strict(variant)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.0.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.0.newtype_variant_seed(Strict(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.0.tuple_variant(len, Watched::any(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.0.struct_variant(fields, Watched::object(visitor))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::de::DeserializeOwned;
    use serde::{Deserialize, Serialize};
    use serde_json::Value;

    use super::*;

    #[derive(Debug, Serialize, Deserialize)]
    struct Point {
        x: i64,
        y: i64,
    }

    #[derive(Debug, Serialize, Deserialize)]
    struct Wrapped(Point);

    #[derive(Debug, Serialize, Deserialize)]
    enum Shape {
        None,
        Dot(Point),
        Line(Point, Point),
        Box { from: Point, to: Point },
    }

    fn read<T: DeserializeOwned>(json: &str) -> Result<T, serde_json::Error> {
        T::deserialize(Strict(&mut serde_json::Deserializer::from_str(json)))
    }

    #[track_caller]
    fn round_trip<T: DeserializeOwned + Serialize>(json: &str) {
        assert_eq!(serde_json::to_string(&read::<T>(json).unwrap()).unwrap(), json);
    }

    #[test]
    fn everything_else_is_read_as_ever() {
        round_trip::<Value>(r#"{"a":[1,-2,2.5,"x",null,true,{"b":[]}]}"#);
        round_trip::<BTreeMap<String, Vec<Point>>>(r#"{"a":[{"x":1,"y":2}],"b":[]}"#);
        round_trip::<(i8, u8, f32, char, Option<bool>)>(r#"[-1,1,0.5,"c",null]"#);
        round_trip::<Vec<Wrapped>>(r#"[{"x":1,"y":2}]"#);
        let shapes = r#"["None",{"Dot":{"x":1,"y":2}},{"Line":[{"x":1,"y":2},{"x":3,"y":4}]},{"Box":{"from":{"x":1,"y":2},"to":{"x":3,"y":4}}}]"#;
        round_trip::<Vec<Shape>>(shapes);
        round_trip::<(i128, u128)>("[-170141183460469231731687303715884105728,1]");
    }

    #[test]
    fn an_array_is_no_object_at_any_level() {
        #[track_caller]
        fn refused<T: DeserializeOwned + fmt::Debug>(json: &str) {
            let error = read::<T>(json).unwrap_err();
            assert!(error.is_data() && error.to_string().starts_with("invalid type: sequence"), "{error}");
            // What this module is for: serde itself takes it.
            serde_json::from_str::<T>(json).unwrap();
        }
        refused::<Point>("[1,2]");
        refused::<Wrapped>("[1,2]");
        refused::<Option<Point>>("[1,2]");
        refused::<Vec<Point>>(r#"[{"x":1,"y":2},[1,2]]"#);
        refused::<BTreeMap<String, Vec<Option<Wrapped>>>>(r#"{"a":[[1,2]]}"#);
        refused::<Shape>(r#"{"Dot":[1,2]}"#);
        refused::<Shape>(r#"{"Line":[[1,2],[3,4]]}"#);
        refused::<Shape>(r#"{"Box":[[1,2],[3,4]]}"#);
    }
}
