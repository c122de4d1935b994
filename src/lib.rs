#![doc = include_str!("ARCHITECTURE.md")]

// In order of dependency: a module imports only from those above it here.
pub mod app;
pub mod auth;
pub mod cli;
pub mod config;
pub mod http;
pub mod model;
pub mod outbound;
pub mod rebac;
pub mod rpc;
pub mod sandbox;
pub mod service;
pub mod store;
pub mod telemetry;
