#![doc = include_str!("ARCHITECTURE.md")]

// In order of dependency: a module imports only from those above it here.
pub mod model;
pub mod config;
pub mod telemetry;
pub mod store;
pub mod auth;
pub mod rebac;
pub mod sandbox;
pub mod service;
pub mod rpc;
pub mod http;
pub mod app;
pub mod cli;
