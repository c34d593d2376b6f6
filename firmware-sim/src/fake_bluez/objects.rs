//! Which objects stand where on the bus, and when: the adapter always, devices once discovered,
//! their services while connected.

use std::{collections::HashMap, sync::Arc};

use protocol::gatt::{self, Characteristic};
use uuid::Uuid;
use zbus::{Connection, Variant};

use super::{
    ADAPTER,
    hub::{Handle, Hub},
    interfaces::{Adapter, BluezDevice, Descriptor, GattCharacteristic, Service},
};

pub(super) const ADAPTER_INTERFACE: &str = "org.bluez.Adapter1";
pub(super) const DEVICE_INTERFACE: &str = "org.bluez.Device1";
pub(super) const CHARACTERISTIC_INTERFACE: &str = "org.bluez.GattCharacteristic1";

/// Signal strength of every device, dBm: across a room.
pub(super) const RSSI_DBM: i16 = -58;
pub(super) fn adapter_path() -> String {
    format!("/org/bluez/{ADAPTER}")
}

/// Puts the adapter on the bus and takes the daemon's name.
pub(super) async fn serve(hub: &Arc<Hub>, bus_address: &str) -> zbus::Result<Connection> {
    zbus::connection::Builder::address(bus_address)
        .serve_at("/", zbus::fdo::ObjectManager)
        .serve_at(adapter_path(), Adapter { hub: Arc::clone(hub) })
        .name("org.bluez")
        // A daemon that is there already keeps its name, and nobody takes ours.
        .replace_existing_names(false)
        .allow_name_replacements(false)
        .build()
        .await
}

/// Tells the bus that a property has changed.
pub(super) async fn property_changed(
    connection: &Connection,
    path: &str,
    interface: &str,
    name: &str,
    value: Variant<'_>,
) -> zbus::Result<()> {
    let changed = HashMap::from([(name, value)]);
    let invalidated: [&str; 0] = [];
    let body = (interface, changed, &invalidated[..]);
    let properties = "org.freedesktop.DBus.Properties";
    connection.emit_signal(None::<&str>, path, properties, "PropertiesChanged", &body).await
}

/// Puts the services of a connected device on the bus.
pub(super) async fn add_services(
    connection: &Connection,
    hub: &Arc<Hub>,
    index: usize,
) -> zbus::Result<()> {
    let server = connection.object_server();
    let Some(handle) = hub.devices.get(index) else { return Ok(()) };
    for object in &handle.tree {
        let (path, uuid, parent) = (object.path.as_str(), object.uuid, object.parent.clone());
        let hub = Arc::clone(hub);
        match object.kind {
            ObjectKind::Service => {
                server.at(path, Service { uuid, device: parent }).await?;
            }
            ObjectKind::Characteristic(about) => {
                server.at(path, GattCharacteristic { hub, index, about, parent }).await?;
            }
            ObjectKind::Descriptor(value) => {
                server.at(path, Descriptor { uuid, value, parent }).await?;
            }
        }
    }
    Ok(())
}

/// Takes the services of a device off the bus.
pub(super) async fn remove_services(connection: &Connection, handle: &Handle) -> zbus::Result<()> {
    let server = connection.object_server();
    for object in handle.tree.iter().rev() {
        let path = object.path.as_str();
        match object.kind {
            ObjectKind::Service => server.remove::<Service, _>(path).await?,
            ObjectKind::Characteristic(_) => server.remove::<GattCharacteristic, _>(path).await?,
            ObjectKind::Descriptor(_) => server.remove::<Descriptor, _>(path).await?,
        };
    }
    Ok(())
}

/// One object of a device's services.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) path: String,
    parent: String,
    pub(super) uuid: Uuid,
    pub(super) kind: ObjectKind,
}

#[derive(Debug)]
pub(super) enum ObjectKind {
    Service,
    Characteristic(Characteristic),
    Descriptor([u8; 7]),
}

/// A device's services as objects, parents first. Handles count up from 0x10 as a small device's
/// would: clients find the objects by these names.
pub(super) fn tree(device_path: &str, services: &[gatt::Service]) -> Vec<Object> {
    let mut objects = Vec::new();
    let mut next_handle = 0x10_u16;
    let mut name = |prefix: &str, parent: &str| {
        let path = format!("{parent}/{prefix}{next_handle:04x}");
        next_handle += 1;
        path
    };
    for service in services {
        let service_path = name("service", device_path);
        objects.push(Object {
            path: service_path.clone(),
            parent: device_path.to_owned(),
            uuid: service.uuid,
            kind: ObjectKind::Service,
        });
        for about in service.characteristics {
            let path = name("char", &service_path);
            objects.push(Object {
                path: path.clone(),
                parent: service_path.clone(),
                uuid: about.uuid,
                kind: ObjectKind::Characteristic(*about),
            });
            if let Some(value) = about.presentation_format {
                objects.push(Object {
                    path: name("desc", &path),
                    parent: path,
                    uuid: gatt::PRESENTATION_FORMAT,
                    kind: ObjectKind::Descriptor(value),
                });
            }
        }
    }
    objects
}

/// Lets devices be seen while anyone discovers.
pub(super) async fn advertise(hub: Arc<Hub>, connection: Connection) -> zbus::Result<()> {
    while hub.discovering() {
        tokio::time::sleep(hub.options.advertise_every).await;
        for (index, handle) in hub.devices.iter().enumerate() {
            if std::mem::replace(&mut handle.link().visible, true) {
                let rssi = RSSI_DBM.into();
                property_changed(&connection, &handle.path, DEVICE_INTERFACE, "RSSI", rssi).await?;
            } else {
                let device = BluezDevice { hub: Arc::clone(&hub), index };
                connection.object_server().at(handle.path.as_str(), device).await?;
            }
        }
    }
    Ok(())
}
