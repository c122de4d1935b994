//! The HTTP door: the only folder that names actix_web.
