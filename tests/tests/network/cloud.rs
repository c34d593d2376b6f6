//! The real server on a folder, asked without a socket, and its database read beside it.

use sdk_core::sync::{Answer, Outgoing};
use server::{Config, DATABASE_FILE_NAME, Server};
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use std::path::Path;
use tempfile::TempDir;
use tower::ServiceExt as _;
use uuid::Uuid;

/// What devices call the server.
pub const HOST: &str = "attune.example";

/// The server, as long as it is up.
pub struct Cloud {
    folder: TempDir,
    server: Option<(Server, axum::Router)>,
    database: SqliteConnection,
}

/// An event as stored.
pub struct Row {
    pub id: Uuid,
    pub sequence: i64,
    pub epoch: u64,
    pub session: Uuid,
    /// By how much the event lies before its arrival, milliseconds.
    pub age_ms: i64,
}

/// The columns of a [`Row`], in its order.
type Columns = (Vec<u8>, i64, i64, Vec<u8>, i64);

/// A chain as stored.
#[derive(Debug, PartialEq, Eq)]
pub struct Standing {
    pub linked: i64,
    pub receipts: i64,
    pub newest_digest: Option<Vec<u8>>,
    pub dropped: i64,
}

impl Cloud {
    pub async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let server = bind(folder.path()).await;
        let file = folder.path().join(DATABASE_FILE_NAME);
        let options = SqliteConnectOptions::new().filename(file).read_only(true);
        let database = SqliteConnection::connect_with(&options).await.unwrap();
        Self { folder, server: Some(server), database }
    }

    pub fn is_up(&self) -> bool {
        self.server.is_some()
    }

    /// Ends it: in good order, or by letting go of everything at once.
    pub async fn stop(&mut self, in_order: bool) {
        if let Some((server, router)) = self.server.take() {
            drop(router);
            if in_order {
                server.run_until(async {}).await.unwrap();
            }
        }
    }

    /// Starts it again on the same data.
    pub async fn restart(&mut self) {
        self.server = Some(bind(self.folder.path()).await);
    }

    /// Its answer, or `None` while it is down.
    pub async fn ask(&self, outgoing: &Outgoing) -> Option<Answer> {
        let (_, router) = self.server.as_ref()?;
        let mut request = axum::http::Request::post(outgoing.path).header("host", HOST);
        for (name, value) in &outgoing.headers {
            request = request.header(*name, value);
        }
        let request = request.body(axum::body::Body::from(outgoing.body.clone())).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        Some(Answer { status, body: body.to_vec(), ..Answer::default() })
    }

    /// How many rows there are of everything that a request of a device can change, and the
    /// greatest request number.
    pub async fn rows(&mut self) -> Vec<i64> {
        let query = "SELECT count(*) FROM devices UNION ALL SELECT count(*) FROM people
             UNION ALL SELECT count(*) FROM receipts UNION ALL SELECT count(*) FROM received
             UNION ALL SELECT count(*) FROM events UNION ALL SELECT total(last_request) FROM devices
             UNION ALL SELECT total(dropped) FROM devices";
        let counts: Vec<f64> =
            sqlx::query_scalar(query).fetch_all(&mut self.database).await.unwrap_or_default();
        counts.into_iter().map(|count| count as i64).collect()
    }

    /// Events of a device that were made under a consent that it has told the server is withdrawn.
    pub async fn withdrawn_rows(&mut self, device: Uuid) -> i64 {
        let query = "SELECT count(*) FROM events WHERE device = ? AND consent_epoch <=
             (SELECT coalesce(max(epoch), 0) FROM receipts
              WHERE receipts.device = events.device AND state = 'withdrawn')";
        let count = sqlx::query_scalar(query).bind(&device.as_bytes()[..]);
        count.fetch_one(&mut self.database).await.unwrap()
    }

    /// The state of the newest receipt that the server has of a device.
    pub async fn state(&mut self, device: Uuid) -> Option<String> {
        let query = "SELECT state FROM receipts WHERE device = ? ORDER BY epoch DESC LIMIT 1";
        let state = sqlx::query_scalar(query).bind(&device.as_bytes()[..]);
        state.fetch_optional(&mut self.database).await.unwrap()
    }

    /// The events of a device, in the order they were stored.
    pub async fn events(&mut self, device: Uuid) -> Vec<Row> {
        let query = "SELECT id, sequence, consent_epoch, session,
             received_unix_ms - at_corrected_unix_ms FROM events WHERE device = ? ORDER BY number";
        let rows: Vec<Columns> = sqlx::query_as(query)
            .bind(&device.as_bytes()[..])
            .fetch_all(&mut self.database)
            .await
            .unwrap();
        let row = |(id, sequence, epoch, session, age_ms): Columns| Row {
            id: Uuid::from_slice(&id).unwrap(),
            sequence,
            epoch: epoch.cast_unsigned(),
            session: Uuid::from_slice(&session).unwrap(),
            age_ms,
        };
        rows.into_iter().map(row).collect()
    }

    pub async fn standing(&mut self, device: Uuid) -> Standing {
        let query = "SELECT (SELECT count(*) FROM receipts WHERE device = ?1 AND linked = 1),
             (SELECT count(*) FROM receipts WHERE device = ?1),
             (SELECT digest FROM receipts WHERE device = ?1 ORDER BY epoch DESC LIMIT 1),
             (SELECT coalesce(max(dropped), 0) FROM devices WHERE device = ?1)";
        let (linked, receipts, newest_digest, dropped) = sqlx::query_as(query)
            .bind(&device.as_bytes()[..])
            .fetch_one(&mut self.database)
            .await
            .unwrap();
        Standing { linked, receipts, newest_digest, dropped }
    }
}

async fn bind(folder: &Path) -> (Server, axum::Router) {
    let config = Config {
        listen: ([127, 0, 0, 1], 0).into(),
        data_dir: folder.to_owned(),
        authorities: vec![HOST.into()],
        ..Config::default()
    };
    let server = Server::bind(config).await.unwrap();
    let router = server.router();
    (server, router)
}
