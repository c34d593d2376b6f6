//! The acted-out Bluetooth daemon, seen by a client over a real private D-Bus.

// Helpers of tests may fail as loudly as tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::HashMap, num::NonZeroUsize, time::Duration};

use firmware_sim::{
    bus::PrivateBus,
    fake_bluez::{FakeBluez, FakeBluezError, Options, SimEvent, SimulatedDevice},
    fault::{FaultKind, FaultScript, Signal},
    spec::DeviceSpec,
};
use futures::StreamExt;
use protocol::{
    eda_profile::EdaMeasurement,
    gatt,
    polar_pmd::{
        Frame, Measurement,
        control::{self, Setting, SettingKind},
    },
};
use zbus::{Connection, MessageStream, OwnedVariant, Variant, connection, message::Type};

const ADAPTER: &str = "/org/bluez/hci0";
const BAND: &str = "/org/bluez/hci0/dev_C0_FF_EE_00_00_01";
const STRAP: &str = "/org/bluez/hci0/dev_C0_FF_EE_00_00_02";
const EDA: &str = "/org/bluez/hci0/dev_C0_FF_EE_00_00_01/service0010/char0011";
const BAND_BATTERY: &str = "/org/bluez/hci0/dev_C0_FF_EE_00_00_01/service0013/char0014";
/// Far more than anything here takes; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

type Changed = (String, HashMap<String, OwnedVariant>, Vec<String>);

struct Client {
    connection: Connection,
    signals: MessageStream,
}

impl Client {
    async fn new(bus: &PrivateBus) -> Self {
        let connection = connection::Builder::address(bus.address()).build().await.unwrap();
        let rule = "type='signal',sender='org.bluez'";
        let queue = NonZeroUsize::new(4096);
        let signals = MessageStream::for_match_rule(rule, &connection, queue).await.unwrap();
        Self { connection, signals }
    }

    async fn call(&self, path: &str, interface: &str, method: &str) -> zbus::Result<()> {
        let body = ();
        self.connection
            .call_method(Some("org.bluez"), path, Some(interface), method, &body)
            .await?;
        Ok(())
    }

    async fn read(&self, path: &str) -> zbus::Result<Vec<u8>> {
        let options: HashMap<&str, Variant<'_>> = HashMap::new();
        let interface = Some("org.bluez.GattCharacteristic1");
        let reply = self
            .connection
            .call_method(Some("org.bluez"), path, interface, "ReadValue", &(options,))
            .await?;
        reply.body().deserialize()
    }

    async fn write(&self, path: &str, value: &[u8], kind: &str) -> zbus::Result<()> {
        let options = HashMap::from([("type", Variant::from(kind))]);
        let interface = Some("org.bluez.GattCharacteristic1");
        let body = (value, options);
        self.connection
            .call_method(Some("org.bluez"), path, interface, "WriteValue", &body)
            .await?;
        Ok(())
    }

    async fn power(&self, on: bool) {
        let body = ("org.bluez.Adapter1", "Powered", Variant::from(on));
        let properties = Some("org.freedesktop.DBus.Properties");
        self.connection
            .call_method(Some("org.bluez"), ADAPTER, properties, "Set", &body)
            .await
            .unwrap();
    }

    /// The next signal for which `pick` gives something.
    async fn wait<T>(&mut self, mut pick: impl FnMut(&zbus::Message) -> Option<T>) -> T {
        let found = async {
            loop {
                let message = self.signals.next().await.unwrap().unwrap();
                if message.message_type() == Type::Signal
                    && let Some(found) = pick(&message)
                {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.expect("the signal comes")
    }

    /// Waits until the boolean property of the object is `value`.
    async fn wait_bool(&mut self, path: &str, property: &str, value: bool) {
        self.wait(|message| {
            let header = message.header();
            let (_, changed, _): Changed = message.body().deserialize().ok()?;
            let is_path = header.path().is_some_and(|p| p.as_str() == path);
            let now = bool::try_from(changed.get(property)?.clone()).ok()?;
            (is_path && now == value).then_some(())
        })
        .await;
    }

    async fn wait_visible(&mut self, path: &str) {
        type Interfaces = HashMap<String, HashMap<String, OwnedVariant>>;
        self.wait(|message| {
            let body = message.body();
            let (added, _): (zbus::OwnedObjectPath, Interfaces) = body.deserialize().ok()?;
            (added.as_str() == path).then_some(())
        })
        .await;
    }

    async fn next_eda(&mut self) -> EdaMeasurement {
        EdaMeasurement::parse(&self.next_value(EDA).await).unwrap()
    }

    /// The next value that a characteristic pushes.
    async fn next_value(&mut self, path: &str) -> Vec<u8> {
        self.wait(|message| {
            let header = message.header();
            let (_, changed, _): Changed = message.body().deserialize().ok()?;
            let is_it = header.path().is_some_and(|p| p.as_str() == path);
            let value = changed.get("Value").filter(|_| is_it)?;
            Vec::<u8>::try_from(value.clone()).ok()
        })
        .await
    }

    async fn discover(&mut self, device: &str) {
        self.call(ADAPTER, "org.bluez.Adapter1", "StartDiscovery").await.unwrap();
        self.wait_visible(device).await;
        self.call(ADAPTER, "org.bluez.Adapter1", "StopDiscovery").await.unwrap();
    }

    async fn connect(&mut self, device: &str) {
        self.call(device, "org.bluez.Device1", "Connect").await.unwrap();
        self.wait_bool(device, "ServicesResolved", true).await;
    }

    async fn start_notify(&self, characteristic: &str) {
        let interface = "org.bluez.GattCharacteristic1";
        self.call(characteristic, interface, "StartNotify").await.unwrap();
    }
}

/// A wristband that notifies 50 times a second, alone.
async fn simulation(bus: &PrivateBus) -> FakeBluez {
    let devices = vec![DeviceSpec::wristband_50hz().into()];
    FakeBluez::start(bus.address(), devices, &FaultScript::default()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_finds_connects_reads_and_receives_everything_in_order() {
    let bus = PrivateBus::start().unwrap();
    let simulation = simulation(&bus).await;
    let mut events = simulation.events();
    let mut client = Client::new(&bus).await;
    client.discover(BAND).await;
    client.connect(BAND).await;
    assert_eq!(client.read(BAND_BATTERY).await.unwrap(), [87]);
    let refused = client.read(EDA).await.unwrap_err().to_string();
    assert!(refused.contains("NotPermitted"), "{refused}");
    client.start_notify(EDA).await;
    for expected in 0..100 {
        let measured = client.next_eda().await;
        assert_eq!((measured.sequence, measured.ticks), (expected, u32::from(expected) * 655));
    }
    client.call(BAND, "org.bluez.Device1", "Disconnect").await.unwrap();
    assert_eq!(simulation.connects("Attune Wristband"), 1);
    let injected = simulation.injected("Attune Wristband").unwrap();
    assert!(injected.sent >= 100 && injected.lost == 0, "{injected:?}");

    let mut written = 0;
    while let Ok(event) = events.try_recv() {
        if let SimEvent::Notification { at_ns, due_ns, sequence, .. } = event {
            assert_eq!(sequence, written);
            assert!(at_ns >= due_ns, "written before it was due");
            written += 1;
        }
    }
    assert_eq!(written, injected.sent);
    simulation.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_object_tree_has_descriptors_and_device_information() {
    let bus = PrivateBus::start().unwrap();
    let simulation = simulation(&bus).await;
    let mut client = Client::new(&bus).await;
    client.discover(BAND).await;
    client.connect(BAND).await;
    type Objects = HashMap<zbus::OwnedObjectPath, HashMap<String, HashMap<String, OwnedVariant>>>;
    let manager = Some("org.freedesktop.DBus.ObjectManager");
    let reply = client
        .connection
        .call_method(Some("org.bluez"), "/", manager, "GetManagedObjects", &())
        .await
        .unwrap();
    let objects: Objects = reply.body().deserialize().unwrap();
    let has = |interface: &str, uuid: uuid::Uuid| {
        let uuid = uuid.to_string();
        let is = |p: &HashMap<String, OwnedVariant>| {
            p.get("UUID").is_some_and(|v| String::try_from(v.clone()).unwrap() == uuid)
        };
        objects.values().any(|interfaces| interfaces.get(interface).is_some_and(is))
    };
    for service in DeviceSpec::wristband().services() {
        assert!(has("org.bluez.GattService1", service.uuid));
        for characteristic in service.characteristics {
            assert!(has("org.bluez.GattCharacteristic1", characteristic.uuid));
        }
    }
    assert!(has("org.bluez.GattDescriptor1", gatt::PRESENTATION_FORMAT));
    for (path, property) in [
        (
            BAND,
            "Address AddressType Paired Connected ServicesResolved Trusted Blocked LegacyPairing",
        ),
        (ADAPTER, "Address AddressType Name Alias Modalias Powered Discovering"),
    ] {
        let object = &objects[&zbus::OwnedObjectPath::try_from(path).unwrap()];
        for name in property.split(' ') {
            assert!(object.values().any(|p| p.contains_key(name)), "{path} lacks {name}");
        }
    }
    simulation.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_link_can_be_had_again_and_the_gap_is_what_was_counted() {
    let bus = PrivateBus::start().unwrap();
    let simulation = simulation(&bus).await;
    let mut client = Client::new(&bus).await;
    client.discover(BAND).await;
    client.connect(BAND).await;
    client.start_notify(EDA).await;
    client.next_eda().await;
    simulation.inject("Attune Wristband", FaultKind::LinkDrop).await.unwrap();
    client.wait_bool(BAND, "Connected", false).await;
    let before = simulation.injected("Attune Wristband").unwrap();
    client.connect(BAND).await;
    client.start_notify(EDA).await;
    let first = client.next_eda().await;
    let after = simulation.injected("Attune Wristband").unwrap();
    assert_eq!(after.link_drops, 1);
    assert_eq!(u64::from(first.sequence), before.sent + after.unsent);
    assert_eq!(simulation.connects("Attune Wristband"), 2);
    simulation.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scripted_adapter_failure_takes_every_link_and_comes_back() {
    let bus = PrivateBus::start().unwrap();
    let faults = FaultScript::parse(
        "[[fault]]\nat_s = 0.2\ndevice = 'Attune Wristband'\nkind.adapter_off.for_s = 0.3",
    )
    .unwrap();
    let devices: Vec<SimulatedDevice> =
        vec![DeviceSpec::wristband().into(), DeviceSpec::strap().into()];
    let options = Options { start_grace: Duration::ZERO, ..Options::default() };
    let simulation = FakeBluez::start_with(bus.address(), devices, &faults, options).await.unwrap();
    let mut client = Client::new(&bus).await;
    client.discover(STRAP).await;
    client.connect(STRAP).await;
    client.connect(BAND).await;
    client.start_notify(EDA).await;
    client.wait_bool(ADAPTER, "Powered", false).await;
    client.wait_bool(STRAP, "Connected", false).await;
    let refused = client.call(STRAP, "org.bluez.Device1", "Connect").await.unwrap_err();
    assert!(refused.to_string().contains("NotReady"), "{refused}");
    client.wait_bool(ADAPTER, "Powered", true).await;
    client.connect(STRAP).await;
    client.power(false).await;
    client.wait_bool(STRAP, "Connected", false).await;
    assert_eq!(simulation.injected("Attune Wristband").unwrap().adapter_offs, 1);
    let told =
        simulation.log().iter().map(|e| serde_json::to_string(e).unwrap()).collect::<String>();
    assert!(told.contains(r#""type":"fault""#) && told.contains(r#""reason":"adapter""#), "{told}");
    simulation.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_started_and_stopped_by_what_is_written() {
    let bus = PrivateBus::start().unwrap();
    let spec = DeviceSpec::polar_h10();
    let name = spec.name.clone();
    let devices = vec![spec.into()];
    let simulation =
        FakeBluez::start(bus.address(), devices, &FaultScript::default()).await.unwrap();
    let mut client = Client::new(&bus).await;
    const H10: &str = "/org/bluez/hci0/dev_C0_FF_EE_00_00_03";
    let control = &format!("{H10}/service0013/char0014");
    let data = &format!("{H10}/service0013/char0015");
    client.discover(H10).await;
    client.connect(H10).await;
    assert_eq!(client.read(control).await.unwrap(), [0x0F, 0b101, 0]);

    let command = |command: control::Command| command.encode();
    let rate = vec![Setting::one(SettingKind::SampleRateHz, 130)];
    let start = command(control::Command::Start { measurement: Measurement::Ecg, settings: rate });
    let stop = command(control::Command::Stop(Measurement::Ecg));
    let error = client.write(control, &start, "request").await.unwrap_err().to_string();
    assert!(error.contains("0xfd"), "indications are off: {error}");
    let error = client.write(data, &start, "request").await.unwrap_err().to_string();
    assert!(error.contains("NotPermitted"), "{error}");
    client.start_notify(control).await;
    client.start_notify(data).await;
    let error = client.write(control, &start, "command").await.unwrap_err().to_string();
    assert!(error.contains("NotSupported"), "{error}");
    let error = client.write(control, &[0; 245], "request").await.unwrap_err().to_string();
    assert!(error.contains("InvalidValueLength"), "{error}");

    client.write(control, &start, "request").await.unwrap();
    assert_eq!(client.next_value(control).await, [0xF0, 2, 0, 0, 0]);
    assert_eq!(simulation.started(&name), [Signal::Ecg]);
    let frame = Frame::parse(&client.next_value(data).await).unwrap();
    assert_eq!(frame.samples.len(), 73);
    client.write(control, &stop, "request").await.unwrap();
    assert_eq!(client.next_value(control).await, [0xF0, 3, 0, 0, 0]);
    assert!(simulation.started(&name).is_empty());
    let written: Vec<(Vec<u8>, bool)> = simulation
        .log()
        .into_iter()
        .filter_map(|event| match event {
            SimEvent::Written { bytes, accepted, .. } => Some((bytes, accepted)),
            _ => None,
        })
        .collect();
    assert_eq!(written, [(start.clone(), false), (start, true), (stop, true)]);
    simulation.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_nobody_connects_leaves_no_trace() {
    let bus = PrivateBus::start().unwrap();
    let simulation = simulation(&bus).await;
    let mut client = Client::new(&bus).await;
    client.discover(BAND).await;
    assert_eq!(simulation.connects("Attune Wristband"), 0);
    assert!(simulation.session_start().is_none());
    assert_eq!(simulation.injected("Attune Wristband").unwrap().sent, 0);
    simulation.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_served_is_said() {
    let bus = PrivateBus::start().unwrap();
    let none = FaultScript::default();
    let start = async |address: &str, devices| FakeBluez::start(address, devices, &none).await;
    let band = || SimulatedDevice::from(DeviceSpec::wristband());
    let error = start(bus.address(), vec![]).await.unwrap_err();
    assert!(matches!(error, FakeBluezError::NoDevice));
    let error = start(bus.address(), vec![band(), band()]).await.unwrap_err();
    assert!(matches!(error, FakeBluezError::Twice { what: "name", .. }));
    let error = start("unix:path=/nowhere/at/all", vec![band()]).await.unwrap_err();
    assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    let _first = start(bus.address(), vec![band()]).await.unwrap();
    let error = start(bus.address(), vec![band()]).await.unwrap_err();
    assert!(matches!(error, FakeBluezError::Bus { .. }), "{error}");
}
