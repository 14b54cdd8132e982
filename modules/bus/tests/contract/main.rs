//! What every event bus must do, run against the ones there are; and what only one of them does.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod embedded;
mod groups;
#[cfg(feature = "kafka")]
mod kafka;
mod records;
mod support;

/// A test of every bus that there is.
macro_rules! contract {
    ($($suite:ident::$test:ident,)*) => {
        mod on_the_embedded_log {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let fixture = <crate::embedded::EmbeddedFixture as crate::support::Fixture>::new().await;
                    crate::$suite::$test(&fixture).await;
                }
            )*
        }

        #[cfg(feature = "kafka")]
        mod on_kafka {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let fixture = <crate::kafka::KafkaFixture as crate::support::Fixture>::new().await;
                    crate::$suite::$test(&fixture).await;
                }
            )*
        }
    };
}

contract! {
    records::records_of_one_key_keep_their_order_in_one_partition,
    records::many_publishers_lose_nothing_and_keep_the_order_of_their_keys,
    records::any_bytes_come_back_as_they_were,
    records::a_restart_keeps_everything,
    records::a_record_that_is_refused_holds_back_only_later_ones_of_its_key,
    records::a_topic_that_does_not_exist_is_refused,
    records::a_topic_that_exists_is_left_as_it_is,
    records::a_reader_is_woken_by_what_is_published,
    records::a_reader_waits_for_a_full_batch_no_longer_than_it_was_told_to,
    records::a_fetch_that_is_dropped_loses_nothing,
    records::a_reader_goes_where_it_is_told_to,
    records::the_lag_is_what_a_group_did_not_commit,
    groups::what_was_not_committed_is_delivered_again,
    groups::groups_do_not_disturb_each_other,
    groups::two_members_share_the_partitions_and_one_takes_over,
    groups::a_member_that_is_dropped_gives_its_partitions_back,
    groups::a_member_that_was_not_heard_of_is_refused_and_its_epoch_is_over,
    groups::members_that_come_and_go_miss_nothing,
    groups::a_topic_that_comes_later_is_shared_out_too,
}
