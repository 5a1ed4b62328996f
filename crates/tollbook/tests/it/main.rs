//! Tests of the product as a whole: its walls, and the real binary.

mod walls;
