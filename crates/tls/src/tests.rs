mod acme;
mod client;
mod clients;
mod faults;
mod reload;
mod server;
mod support;
