//! A backup in the middle of a load: every database of the copy agrees with every other.

use std::process::Stdio;

use crate::support::{DataDir, Up, command, run, wait_until_settled};

/// Quick counting, so that the log and the collector are never far behind.
const QUICK: [(&str, &str); 2] = [("COMMERCE_COLLECTOR__FLUSH_MS", "20"), ("COMMERCE_RELAY__EVERY_MS", "20")];

#[test]
fn no_event_is_lost_or_counted_that_the_shop_of_the_copy_does_not_know() {
    let (dir, target) = (DataDir::new(), DataDir::new());
    let up = Up::start_with(dir.path(), &QUICK);
    let url = up.url();
    let load =
        ["load", "--url", &url, "--products", "5", "--orders", "6000", "--buyers", "8", "--connections", "8"];
    let mut load = command(dir.path(), &load).stdout(Stdio::null()).spawn().unwrap();
    let mut copies = Vec::new();
    while load.try_wait().unwrap().is_none() && copies.len() < 6 {
        let copy = target.join(&format!("copy-{}", copies.len()));
        run(dir.path(), &["backup", copy.to_str().unwrap()]).expect(0);
        copies.push(copy);
    }
    assert!(load.wait().unwrap().success());
    assert!(copies.len() > 1, "the load was over before there was anything to copy");
    drop(up);
    for copy in copies {
        for file in ["commerce.sqlite", "events.sqlite", "collector.sqlite", "gateway.sqlite"] {
            assert!(copy.join(file).is_file(), "{file}");
        }
        run(&copy, &["audit"]).expect(0);
        let up = Up::start_with(&copy, &QUICK);
        wait_until_settled(&copy);
        assert_eq!(up.terminate().0, 0);
    }
}
