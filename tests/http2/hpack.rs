//! HPACK (RFC 7541): all forms of fields, the table, and what a decoder must not take.

use tollgate_testkit::http2::code::COMPRESSION_ERROR;
use tollgate_testkit::http2::{Block, Frame, settings};

use crate::http2::case::Expect::{Answer, Connection};
use crate::http2::case::{Case, Talk, case};

const BAD: crate::http2::case::Expect = Connection(&[COMPRESSION_ERROR]);

/// The largest table that the server allows.
fn largest_table(talk: &Talk) -> usize {
    talk.http2.setting(settings::HEADER_TABLE_SIZE).map_or(4096, |size| size.try_into().unwrap_or(usize::MAX))
}

/// Sends a first request, which puts fields into the table, and a second one.
fn two(talk: &mut Talk, first: Block, second: Block) {
    talk.send([Frame::headers(1, first).end(), Frame::headers(3, second).end()]);
}

pub(crate) const CASES: &[Case] = &[
    case("7541-2.3.3 an index beyond both tables", BAD, |t| t.ask(t.block().indexed(70))),
    case("7541-2.3.3 the index after the last", BAD, |t| t.ask(t.block().added("x-a", "1").indexed(63))),
    case("7541-2.3.3 a huge index", BAD, |t| t.ask(t.block().indexed(1 << 30))),
    case("7541-2.3.3 a name's index beyond both tables", BAD, |t| t.ask(t.block().named_added(70, "1"))),
    case("7541-2.3.3 a name's index beyond both tables, not added", BAD, |t| t.ask(t.block().named_field(70, "1"))),
    case("7541-2.3.3 a name's index beyond both tables, never", BAD, |t| t.ask(t.block().named_never(70, "1"))),
    case("7541-2.3.2 the newest entry is 62", Answer(5), |t| {
        // The older entry is HEAD, whose answer would have no content.
        let rest = Block::new().indexed(6).raw([4]).string(&t.path).named_field(1, "a.test");
        two(t, Block::new().named_added(2, "HEAD").raw(&rest), Block::new().named_added(2, "PUT").raw(&rest));
        t.send([Frame::headers(5, Block::new().indexed(62).raw(rest)).end()]);
    }),
    case("7541-4.1 an entry as large as the table", Answer(1), |t| {
        let value = "a".repeat(4096 - 32 - 3);
        t.ask(t.block().added("x-a", value).indexed(62));
    }),
    case("7541-4.2 a size after a field", BAD, |t| t.ask(t.block().table_size(0))),
    case("7541-4.2 a size between fields", BAD, |t| t.ask(Block::new().indexed(2).table_size(0).raw(t.block()))),
    case("7541-4.2 two sizes", Answer(1), |t| t.ask(Block::new().table_size(0).table_size(4096).raw(t.block()))),
    case("7541-4.3 a size of 0 empties the table", BAD, |t| {
        two(t, t.block().added("x-a", "1"), Block::new().table_size(0).table_size(4096).raw(t.block()).indexed(62));
    }),
    case("7541-4.3 a smaller size drops the oldest", BAD, |t| {
        let small = Block::new().table_size(40).raw(t.block());
        two(t, t.block().added("x-a", "1").added("x-b", "2"), small.indexed(63));
    }),
    case("7541-4.3 a smaller size keeps the newest", Answer(3), |t| {
        let small = Block::new().table_size(40).raw(t.block());
        two(t, t.block().added("x-a", "1").added("x-b", "2"), small.indexed(62));
    }),
    case("7541-4.4 a new entry drops the oldest", BAD, |t| {
        let small = Block::new().table_size(80).raw(t.block());
        t.ask(small.added("x-a", "1").added("x-b", "2").added("x-c", "3").indexed(64));
    }),
    case("7541-4.4 an entry larger than the table empties it", BAD, |t| {
        let small = Block::new().table_size(80).raw(t.block());
        t.ask(small.added("x-a", "1").added("x-b", "2".repeat(99)).indexed(62));
    }),
    case("7541-4.4 an entry larger than the table is a field all the same", Answer(1), |t| {
        t.ask(Block::new().table_size(80).raw(t.block()).added("x-b", "2".repeat(99)));
    }),
    case("7541-5.1 an integer over several bytes", Answer(1), |t| t.ask(t.block().field("x-a", "1".repeat(300)))),
    case("7541-5.1 an integer without end", BAD, |t| t.ask(t.block().raw([0xff; 16]))),
    case("7541-5.1 an integer that breaks off", BAD, |t| t.ask(t.block().raw([0xff, 0x80]))),
    case("7541-5.1 an integer beyond 64 bits", BAD, |t| {
        t.ask(t.block().raw([0xff, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f]));
    }),
    case("7541-5.2 a Huffman-coded field", Answer(1), |t| t.ask(t.block().huffman_field("x-a", "www.example.com"))),
    case("7541-5.2 every byte of a value, Huffman-coded", Answer(1), |t| {
        let bytes: Vec<u8> = (0x21..=0x7e).chain(0x80..=0xff).collect();
        t.ask(t.block().huffman_field("x-a", bytes));
    }),
    case("7541-5.2 an empty Huffman string", Answer(1), |t| t.ask(t.block().huffman_field("x-a", ""))),
    case("7541-5.2 padding of more than 7 bits", BAD, |t| {
        t.ask(t.block().raw([0]).string("x-a").coded_string([0xff]));
    }),
    case("7541-5.2 padding of 8 bits after a letter", BAD, |t| {
        t.ask(t.block().raw([0]).string("x-a").coded_string([0x1f, 0xff]));
    }),
    case("7541-5.2 padding of zeros", BAD, |t| t.ask(t.block().raw([0]).string("x-a").coded_string([0x18]))),
    case("7541-5.2 EOS in a string", BAD, |t| t.ask(t.block().raw([0]).string("x-a").eos_string("a"))),
    case("7541-5.2 EOS in a name", BAD, |t| t.ask(t.block().raw([0]).eos_string("x-a").string("1"))),
    case("7541-5.2 EOS alone", BAD, |t| t.ask(t.block().raw([0]).string("x-a").coded_string([0xff; 4]))),
    case("7541-5.2 a name longer than the block", BAD, |t| t.ask(t.block().raw([0, 0x7e, b'x']))),
    case("7541-5.2 a value longer than the block", BAD, |t| t.ask(t.block().raw([0]).string("x-a").raw([5, b'1']))),
    case("7541-5.2 a name without a value", BAD, |t| t.ask(t.block().raw([0]).string("x-a"))),
    case("7541-6.1 fields of the static table", Answer(1), |t| {
        t.ask(Block::new().indexed(2).indexed(6).indexed(4).named_field(1, "a.test").indexed(16));
    }),
    case("7541-6.1 an index of 0", BAD, |t| t.ask(t.block().indexed(0))),
    case("7541-6.1 an index of 0 alone", BAD, |t| t.ask(Block::new().indexed(0))),
    case("7541-6.1 an entry of the same block", Answer(1), |t| t.ask(t.block().added("x-a", "1").indexed(62))),
    case("7541-6.2.1 added, its name from the table", Answer(1), |t| t.ask(t.block().named_added(58, "kit"))),
    case("7541-6.2.1 added, its name from the table, Huffman-coded", Answer(1), |t| {
        t.ask(t.block().integer(0x40, 6, 58).huffman_string("kit"));
    }),
    case("7541-6.2.1 added, its name new", Answer(1), |t| t.ask(t.block().added("x-a", "1"))),
    case("7541-6.2.1 added, its name new, Huffman-coded", Answer(1), |t| {
        t.ask(t.block().raw([0x40]).huffman_string("x-a").huffman_string("1"));
    }),
    case("7541-6.2.1 added, its name from the dynamic table", Answer(1), |t| {
        t.ask(t.block().added("x-a", "1").named_added(62, "2").indexed(62).indexed(63));
    }),
    case("7541-6.2.2 not added, its name from the table", Answer(1), |t| t.ask(t.block().named_field(58, "kit"))),
    case("7541-6.2.2 not added, its name from the table, Huffman-coded", Answer(1), |t| {
        t.ask(t.block().integer(0, 4, 58).huffman_string("kit"));
    }),
    case("7541-6.2.2 not added is not in the table", BAD, |t| t.ask(t.block().field("x-a", "1").indexed(62))),
    case("7541-6.2.3 never added, its name from the table", Answer(1), |t| t.ask(t.block().named_never(23, "secret"))),
    case("7541-6.2.3 never added, its name new", Answer(1), |t| t.ask(t.block().never("x-a", "1"))),
    case("7541-6.2.3 never added, Huffman-coded", Answer(1), |t| {
        t.ask(t.block().raw([0x10]).huffman_string("x-a").huffman_string("1"));
    }),
    case("7541-6.2.3 never added is not in the table", BAD, |t| t.ask(t.block().never("x-a", "1").indexed(62))),
    case("7541-6.3 a size of 0", Answer(1), |t| t.ask(Block::new().table_size(0).raw(t.block()))),
    case("7541-6.3 the largest size", Answer(1), |t| {
        t.ask(Block::new().table_size(largest_table(t)).raw(t.block()));
    }),
    case("7541-6.3 a size too large", BAD, |t| t.ask(Block::new().table_size(largest_table(t) + 1).raw(t.block()))),
    case("7541-6.3 a huge size", BAD, |t| t.ask(Block::new().table_size(usize::MAX >> 1).raw(t.block()))),
];
