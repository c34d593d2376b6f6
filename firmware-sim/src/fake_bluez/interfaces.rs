//! The daemon's interfaces. They hold no state of their own: properties read the [`Hub`], methods
//! hand the work to the device's task, so no call can wait for a lock that its own work needs.
//!
//! Names and properties follow BlueZ's `org.bluez.*` API documents. A client library drops objects
//! that lack a property it expects, so all of them are here.

use std::{collections::HashMap, sync::Arc};

use protocol::gatt::Characteristic;
use tokio::sync::oneshot;
use uuid::Uuid;
use zbus::{Connection, OwnedObjectPath, OwnedVariant, interface, message::Header};

use super::{
    actor::Command,
    hub::{Handle, Hub},
    objects::{
        ADAPTER_INTERFACE, Object, ObjectKind, RSSI_DBM, adapter_path, advertise, property_changed,
    },
};

const ADAPTER_ADDRESS: &str = "00:AA:01:00:00:42";
/// What ATT agrees on with a present-day phone; leaves 244 bytes a notification.
const ATT_MTU: u16 = 247;
/// Op code and handle before the value of a write.
const ATT_HEADER_BYTES: usize = 3;

/// Errors as the daemon words them.
#[derive(zbus::DBusError, Debug)]
#[zbus(prefix = "org.bluez.Error")]
pub(super) enum BluezError {
    #[zbus(error)]
    ZBus(zbus::Error),
    Failed(String),
    InProgress(String),
    NotConnected(String),
    NotPermitted(String),
    NotReady(String),
    NotSupported(String),
    InvalidValueLength(String),
}

type Options = HashMap<String, OwnedVariant>;

/// Waits for the answer of a device's task.
async fn answer(receiver: oneshot::Receiver<Result<(), BluezError>>) -> Result<(), BluezError> {
    let gone = |_| BluezError::Failed("the simulation has stopped".into());
    receiver.await.map_err(gone)?
}

fn object_path(path: &str) -> zbus::fdo::Result<OwnedObjectPath> {
    OwnedObjectPath::try_from(path).map_err(|error| zbus::fdo::Error::Failed(error.to_string()))
}

pub(super) struct Adapter {
    pub(super) hub: Arc<Hub>,
}

#[interface(name = "org.bluez.Adapter1")]
impl Adapter {
    async fn start_discovery(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), BluezError> {
        if !self.hub.powered() {
            return Err(BluezError::NotReady("Resource Not Ready".into()));
        }
        let already = self.hub.discovering();
        if !self.hub.set_discoverer(&client(&header), true) {
            return Err(BluezError::InProgress("Operation already in progress".into()));
        }
        if !already {
            let value = true.into();
            property_changed(connection, &adapter_path(), ADAPTER_INTERFACE, "Discovering", value)
                .await?;
            let (hub, connection) = (Arc::clone(&self.hub), connection.clone());
            self.hub.spawn(async move {
                if let Err(error) = advertise(hub, connection).await {
                    tracing::error!(%error, "simulated adapter lost its bus");
                }
            });
        }
        Ok(())
    }

    async fn stop_discovery(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), BluezError> {
        if !self.hub.set_discoverer(&client(&header), false) {
            return Err(BluezError::Failed("No discovery started".into()));
        }
        if !self.hub.discovering() {
            let value = false.into();
            property_changed(connection, &adapter_path(), ADAPTER_INTERFACE, "Discovering", value)
                .await?;
        }
        Ok(())
    }

    fn set_discovery_filter(&self, _filter: Options) -> Result<(), BluezError> {
        Ok(())
    }

    fn remove_device(&self, _device: OwnedObjectPath) -> Result<(), BluezError> {
        Err(BluezError::Failed("simulated devices stay".into()))
    }

    #[zbus(property)]
    fn address(&self) -> String {
        ADAPTER_ADDRESS.into()
    }

    #[zbus(property)]
    fn address_type(&self) -> String {
        "public".into()
    }

    #[zbus(property)]
    fn name(&self) -> String {
        "attune-simulator".into()
    }

    #[zbus(property)]
    fn alias(&self) -> String {
        "attune-simulator".into()
    }

    #[zbus(property)]
    fn modalias(&self) -> String {
        "usb:v1D6Bp0246d0542".into()
    }

    #[zbus(property)]
    fn class(&self) -> u32 {
        0
    }

    #[zbus(property)]
    fn powered(&self) -> bool {
        self.hub.powered()
    }

    #[zbus(property)]
    async fn set_powered(&self, on: bool) -> zbus::Result<()> {
        // The bus hears of it when this returns.
        self.hub.switch_power(on);
        Ok(())
    }

    #[zbus(property)]
    fn discovering(&self) -> bool {
        self.hub.discovering()
    }

    #[zbus(property, name = "UUIDs")]
    fn uuids(&self) -> Vec<String> {
        Vec::new()
    }
}

fn client(header: &Header<'_>) -> String {
    header.sender().map(ToString::to_string).unwrap_or_default()
}

pub(super) struct BluezDevice {
    pub(super) hub: Arc<Hub>,
    pub(super) index: usize,
}

impl BluezDevice {
    fn handle(&self) -> &Handle {
        &self.hub.devices[self.index]
    }
}

#[interface(name = "org.bluez.Device1")]
impl BluezDevice {
    async fn connect(&self) -> Result<(), BluezError> {
        let (reply, receiver) = oneshot::channel();
        self.handle().send(Command::Connect { reply });
        answer(receiver).await
    }

    async fn disconnect(&self) -> Result<(), BluezError> {
        let (done, receiver) = oneshot::channel();
        self.handle().send(Command::Disconnect { done });
        receiver.await.map_err(|_| BluezError::Failed("the simulation has stopped".into()))
    }

    #[zbus(property)]
    fn address(&self) -> String {
        self.handle().address.clone()
    }

    #[zbus(property)]
    fn address_type(&self) -> String {
        "random".into()
    }

    #[zbus(property)]
    fn name(&self) -> String {
        self.handle().name.clone()
    }

    #[zbus(property)]
    fn alias(&self) -> String {
        self.handle().name.clone()
    }

    #[zbus(property)]
    fn adapter(&self) -> zbus::fdo::Result<OwnedObjectPath> {
        object_path(&adapter_path())
    }

    #[zbus(property)]
    fn paired(&self) -> bool {
        false
    }

    #[zbus(property)]
    fn bonded(&self) -> bool {
        false
    }

    #[zbus(property)]
    fn trusted(&self) -> bool {
        false
    }

    #[zbus(property)]
    fn blocked(&self) -> bool {
        false
    }

    #[zbus(property)]
    fn legacy_pairing(&self) -> bool {
        false
    }

    #[zbus(property)]
    fn connected(&self) -> bool {
        self.handle().link().connected
    }

    #[zbus(property)]
    fn services_resolved(&self) -> bool {
        self.handle().link().resolved
    }

    #[zbus(property, name = "RSSI")]
    fn rssi(&self) -> i16 {
        RSSI_DBM
    }

    #[zbus(property, name = "UUIDs")]
    fn uuids(&self) -> Vec<String> {
        let is_service = |object: &&Object| matches!(object.kind, ObjectKind::Service);
        let services = self.handle().tree.iter().filter(is_service);
        services.map(|service| service.uuid.to_string()).collect()
    }
}

pub(super) struct Service {
    pub(super) uuid: Uuid,
    pub(super) device: String,
}

#[interface(name = "org.bluez.GattService1")]
impl Service {
    #[zbus(property, name = "UUID")]
    fn uuid(&self) -> String {
        self.uuid.to_string()
    }

    #[zbus(property)]
    fn primary(&self) -> bool {
        true
    }

    #[zbus(property)]
    fn device(&self) -> zbus::fdo::Result<OwnedObjectPath> {
        object_path(&self.device)
    }

    #[zbus(property)]
    fn includes(&self) -> Vec<OwnedObjectPath> {
        Vec::new()
    }
}

pub(super) struct GattCharacteristic {
    pub(super) hub: Arc<Hub>,
    pub(super) index: usize,
    pub(super) about: Characteristic,
    pub(super) parent: String,
}

impl GattCharacteristic {
    fn handle(&self) -> &Handle {
        &self.hub.devices[self.index]
    }

    fn readable(&self) -> Option<Vec<u8>> {
        let now_ns = self.hub.session_ns();
        self.handle().model().read(self.about.uuid, now_ns)
    }

    async fn notify(&self, on: bool) -> Result<(), BluezError> {
        if !self.about.access.notify && !self.about.access.indicate {
            return Err(BluezError::NotPermitted("Notify not permitted".into()));
        }
        let (reply, receiver) = oneshot::channel();
        let characteristic = self.about.uuid;
        self.handle().send(Command::Notify { characteristic, on, reply });
        answer(receiver).await
    }
}

#[interface(name = "org.bluez.GattCharacteristic1")]
impl GattCharacteristic {
    fn read_value(&self, _options: Options) -> Result<Vec<u8>, BluezError> {
        self.readable().ok_or_else(|| BluezError::NotPermitted("Read not permitted".into()))
    }

    /// `type` in the options is `request` (the default), or `command` for a write without an
    /// answer, which no device here offers.
    async fn write_value(&self, value: Vec<u8>, options: Options) -> Result<(), BluezError> {
        let command =
            |kind: &OwnedVariant| String::try_from(kind.clone()).is_ok_and(|k| k == "command");
        if !self.about.access.write {
            return Err(BluezError::NotPermitted("Write not permitted".into()));
        }
        if options.get("type").is_some_and(command) {
            return Err(BluezError::NotSupported("Operation is not supported".into()));
        }
        if value.len() > usize::from(ATT_MTU) - ATT_HEADER_BYTES {
            return Err(BluezError::InvalidValueLength("Invalid Length".into()));
        }
        let (reply, receiver) = oneshot::channel();
        let characteristic = self.about.uuid;
        self.handle().send(Command::Write { characteristic, bytes: value, reply });
        answer(receiver).await
    }

    async fn start_notify(&self) -> Result<(), BluezError> {
        self.notify(true).await
    }

    async fn stop_notify(&self) -> Result<(), BluezError> {
        self.notify(false).await
    }

    #[zbus(property, name = "UUID")]
    fn uuid(&self) -> String {
        self.about.uuid.to_string()
    }

    #[zbus(property)]
    fn service(&self) -> zbus::fdo::Result<OwnedObjectPath> {
        object_path(&self.parent)
    }

    #[zbus(property)]
    fn value(&self) -> Vec<u8> {
        self.readable().unwrap_or_default()
    }

    #[zbus(property)]
    fn notifying(&self) -> bool {
        self.handle().link().notifying.contains(&self.about.uuid)
    }

    #[zbus(property)]
    fn flags(&self) -> Vec<String> {
        let access = self.about.access;
        let flags = [
            (access.read, "read"),
            (access.write, "write"),
            (access.notify, "notify"),
            (access.indicate, "indicate"),
        ];
        flags.into_iter().filter(|(has, _)| *has).map(|(_, flag)| flag.to_owned()).collect()
    }

    #[zbus(property, name = "MTU")]
    fn mtu(&self) -> u16 {
        ATT_MTU
    }
}

pub(super) struct Descriptor {
    pub(super) uuid: Uuid,
    pub(super) value: [u8; 7],
    pub(super) parent: String,
}

#[interface(name = "org.bluez.GattDescriptor1")]
impl Descriptor {
    fn read_value(&self, _options: Options) -> Result<Vec<u8>, BluezError> {
        Ok(self.value.to_vec())
    }

    fn write_value(&self, _value: Vec<u8>, _options: Options) -> Result<(), BluezError> {
        Err(BluezError::NotPermitted("Write not permitted".into()))
    }

    #[zbus(property, name = "UUID")]
    fn uuid(&self) -> String {
        self.uuid.to_string()
    }

    #[zbus(property)]
    fn characteristic(&self) -> zbus::fdo::Result<OwnedObjectPath> {
        object_path(&self.parent)
    }

    #[zbus(property)]
    fn value(&self) -> Vec<u8> {
        self.value.to_vec()
    }

    #[zbus(property)]
    fn flags(&self) -> Vec<String> {
        vec!["read".to_owned()]
    }
}
