//! Log lines and traces: where they go.
//!
//! Lines go to standard error, as text or JSON. Traces go to an OpenTelemetry collector (OTLP over
//! HTTP, protobuf) if one is named; they hold methods, patterns of routes, statuses, and the lines
//! that were logged meanwhile, which can hold nothing of a person (`protocol::log!`). Spans of
//! other crates are not exported: they might.

use async_trait::async_trait;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider},
};
use protocol::log;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use thiserror::Error;
use tokio::runtime::Handle;
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{LevelFilter, Targets},
    fmt::MakeWriter,
    layer::SubscriberExt,
    util::{SubscriberInitExt, TryInitError},
};

/// Where the collector takes traces, under its base address (OTLP 1.x, section OTLP/HTTP).
const TRACES_PATH: &str = "/v1/traces";
/// How long the collector may take to answer, and the last spans to leave.
const PATIENCE: Duration = Duration::from_secs(5);

/// How log lines read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The settings of log lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// How lines read.
    pub format: LogFormat,
    /// What is logged, as `RUST_LOG` would have it; warnings and errors, if absent.
    pub filter: Option<String>,
}

/// The settings of traces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TracesConfig {
    /// The base address of an OpenTelemetry collector; without one, nothing is traced.
    pub endpoint: Option<String>,
    /// How many of a hundred requests are traced.
    pub sample_percent: u8,
}

impl Default for TracesConfig {
    fn default() -> Self {
        Self { endpoint: None, sample_percent: 100 }
    }
}

/// Why lines or traces cannot go where they should.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// The filter cannot be read.
    #[error("the log filter \"{0}\" cannot be read: write a level, or target=level,..")]
    Filter(String),
    /// The collector's address cannot be used.
    #[error("the collector of traces cannot be used: {0}; name its base address, http://host:4318")]
    Traces(String),
    /// Somebody else takes the lines already.
    #[error("log lines go elsewhere already: {0}")]
    Taken(#[from] TryInitError),
}

/// What was started; to be [finished](Self::finish), so that the last spans leave.
#[derive(Debug)]
#[must_use]
pub struct Telemetry(Option<SdkTracerProvider>);

/// Starts the process's lines and traces, from within its runtime.
///
/// # Errors
/// [`TelemetryError`]; a process starts them once.
pub fn start<W>(
    lines: &LogConfig,
    traces: &TracesConfig,
    writer: W,
) -> Result<Telemetry, TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = lines.filter.as_deref().unwrap_or("warn");
    let filter = EnvFilter::try_new(filter);
    let filter =
        filter.map_err(|_| TelemetryError::Filter(lines.filter.clone().unwrap_or_default()))?;
    let to_lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let to_lines: Box<dyn Layer<Registry> + Send + Sync> = match lines.format {
        LogFormat::Text => Box::new(to_lines.with_filter(filter)),
        LogFormat::Json => Box::new(to_lines.json().flatten_event(true).with_filter(filter)),
    };
    let provider = traces.endpoint.as_deref().map(|url| exporter(url, traces)).transpose()?;
    let to_collector = provider.as_ref().map(|provider| {
        let ours = Targets::new().with_target("server", LevelFilter::INFO);
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("attune"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(ours)
    });
    tracing_subscriber::registry().with(to_lines).with(to_collector).try_init()?;
    Ok(Telemetry(provider))
}

impl Telemetry {
    /// Sends what is left to the collector, for five seconds at most.
    pub async fn finish(self) {
        let Some(provider) = self.0 else { return };
        let ending = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(PATIENCE));
        if !matches!(ending.await, Ok(Ok(()))) {
            log!(warn, "the last traces did not reach the collector");
        }
    }
}

fn exporter(base: &str, traces: &TracesConfig) -> Result<SdkTracerProvider, TelemetryError> {
    let failed = |error: &dyn std::fmt::Display| TelemetryError::Traces(error.to_string());
    // The only provider of the lock file; somebody may have installed it before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().timeout(PATIENCE).build().map_err(|e| failed(&e))?;
    let runtime = Handle::try_current().map_err(|e| failed(&e))?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(OnRuntime { client, runtime })
        .with_endpoint(format!("{}{TRACES_PATH}", base.trim_end_matches('/')))
        .with_timeout(PATIENCE)
        .build()
        .map_err(|e| failed(&e))?;
    let ratio = f64::from(traces.sample_percent.min(100)) / 100.0;
    let resource = Resource::builder()
        .with_service_name("attune")
        .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio))))
        .with_resource(resource)
        .build())
}

/// The exporter has a thread of its own, without a runtime; the client needs one.
#[derive(Debug)]
struct OnRuntime {
    client: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for OnRuntime {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sending = self.runtime.spawn(async move {
            let (parts, body) = request.into_parts();
            let request = client.request(parts.method, parts.uri.to_string());
            let response = request.headers(parts.headers).body(body).send().await?;
            let (status, headers) = (response.status(), response.headers().clone());
            Ok::<_, reqwest::Error>((status, headers, response.bytes().await?))
        });
        let (status, headers, body) = sending.await??;
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}
