//! `docker-compose.yml` cannot be run here; what it says is what is run here.

const COMPOSE: &str = include_str!("../../../docker-compose.yml");
const SERVER: &str = include_str!("../../../deploy/real/server.sh");
const POM: &str = include_str!("../../../deploy/real/pom.xml");

#[test]
fn containers_are_given_what_the_servers_of_the_tests_are_given() {
    let settings = [
        "wal_level=logical",
        "--server-id=7",
        "--log-bin=binlog",
        "--binlog-format=ROW",
        "--binlog-row-image=FULL",
        "--character-set-server=utf8mb4",
        "mariadb.sql",
    ];
    for setting in settings {
        assert!(COMPOSE.contains(setting), "docker-compose.yml lacks {setting}");
        assert!(SERVER.contains(setting), "deploy/real/server.sh lacks {setting}");
    }
    for (property, image) in [("kafka.version", "apache/kafka:"), ("debezium.version", "debezium/connect:")] {
        let version = POM.split(&format!("<{property}>")).nth(1).and_then(|it| it.split('<').next()).expect(property);
        assert!(COMPOSE.contains(&format!("{image}{version}\n")), "docker-compose.yml has another {property}");
    }
}

#[test]
fn the_image_is_built_with_all_that_the_manifest_names() {
    let manifest = include_str!("../../../Cargo.toml");
    let image = include_str!("../../../deploy/Dockerfile");
    for (section, folder) in
        [("[lib]", "src"), ("[[bench]]", "benches"), ("[[test]]", "tests"), ("[[example]]", "examples")]
    {
        assert!(manifest.contains(section), "Cargo.toml has no {section} any more");
        assert!(image.contains(&format!("COPY {folder} ./{folder}\n")), "deploy/Dockerfile lacks {folder}");
    }
}

#[test]
fn the_demo_knows_all_it_is_told() {
    let help = super::super::support::vantage().args(["demo", "--help"]).output().expect("help");
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    for line in COMPOSE.lines() {
        let variable = line.trim().split(':').next().filter(|it| it.starts_with("VANTAGE_"));
        assert!(variable.is_none_or(|it| help.contains(it)), "the demo does not know {variable:?}");
        let flags = line.contains("[\"demo\"").then(|| line.split('"').filter(|it| it.starts_with("--")));
        for flag in flags.into_iter().flatten() {
            assert!(help.contains(flag), "the demo does not know {flag}");
        }
    }
}
