// SPDX-License-Identifier: Apache-2.0
// Merging files of one study: the result is the single run's, in whatever order; a conflict is found and named, and leaves
// nothing behind.
#include <gtest/gtest.h>

#include <algorithm>

#include "fryer/core/error.h"
#include "tests/study/store_support.h"

namespace fryer::study {
namespace {

using namespace test;

std::vector<Chunk> shard_chunks(std::uint64_t index, std::uint64_t shards, std::uint64_t size) {
  const Range shard = shard_of(1000, index, shards);
  std::vector<Chunk> chunks;
  for (std::uint64_t cell = 0; cell < 3; ++cell) {
    for (std::uint64_t i = 0; i < shard.count; i += size) {
      chunks.push_back(make_chunk(cell, {shard.first + i, std::min(size, shard.count - i)}));
    }
  }
  return chunks;
}

TEST(Merge, InAnyOrderIsTheSingleRun) {
  const Folder folder;
  const Plan plan = make_plan(3, 1000);
  make_study(folder / "whole.db", plan, shard_chunks(1, 1, 100));
  std::vector<std::string> inputs;
  for (const std::uint64_t shard : {1u, 2u, 3u}) {
    inputs.push_back(folder / ("shard" + std::to_string(shard) + ".db"));
    make_study(inputs.back(), plan, shard_chunks(shard, 3, 70), {shard, 3}, "host" + std::to_string(shard));
  }
  std::vector<std::uint64_t> rows;
  std::uint64_t digest;
  {
    const Store whole = Store::open(folder / "whole.db", Access::read);
    rows = test::rows_of(whole);
    digest = digest_of(whole.chunks());
  }
  int number = 0;
  do {
    const std::string output = folder / ("merged" + std::to_string(number++) + ".db");
    merge(inputs, output);
    const Store merged = Store::open(output, Access::read);
    EXPECT_EQ(digest_of(merged.chunks()), digest);
    EXPECT_EQ(test::rows_of(merged), rows);
    EXPECT_EQ(merged.shard().shards, 1u);
    EXPECT_TRUE(merged.missing(0).empty() && merged.missing(2).empty());
    EXPECT_EQ(merged.plan().source, plan.source);
    EXPECT_EQ(merged.runs(), (std::vector<Provenance>{make_run("host1"), make_run("host2"), make_run("host3")}));
    for (const Chunk& chunk : merged.chunks())
      EXPECT_EQ(chunk.run, chunk.range.first < 333 ? 0u : chunk.range.first < 666 ? 1u : 2u);
  } while (std::next_permutation(inputs.begin(), inputs.end()));
  EXPECT_EQ(number, 6);
  EXPECT_EQ(folder.files(), 4u + 6u);
}

TEST(Merge, SaysWhatIsMissing) {
  const Folder folder;
  const Plan plan = make_plan(3, 1000);
  make_study(folder / "a.db", plan, shard_chunks(1, 4, 100), {1, 4});
  make_study(folder / "b.db", plan, {make_chunk(0, {300, 50})}, {2, 4});
  merge({folder / "a.db", folder / "b.db"}, folder / "c.db");
  const Store all = Store::open(folder / "c.db", Access::read);
  EXPECT_EQ(all.missing(0), (std::vector<Range>{{250, 50}, {350, 650}}));
  EXPECT_EQ(all.runs().size(), 1u) << "equal provenance is kept once";
  // Of one and the same shard, the result is of that shard too, and a file with itself is that file.
  merge({folder / "a.db", folder / "a.db"}, folder / "d.db");
  const Store same = Store::open(folder / "d.db", Access::read);
  EXPECT_EQ(same.shard().shards, 4u);
  EXPECT_TRUE(same.missing(0).empty());
  EXPECT_EQ(test::rows_of(same), test::rows_of(Store::open(folder / "a.db", Access::read)));
}

// The same replicas in chunks of other sizes: whole chunks are taken, all values compared.
TEST(Merge, TakesWholeChunksWhereTheyOverlap) {
  const Folder folder;
  const Plan plan = make_plan(3, 1000);
  make_study(folder / "whole.db", plan, shard_chunks(1, 1, 100));
  make_study(folder / "a.db", plan, shard_chunks(1, 1, 64));
  make_study(folder / "b.db", plan,
             {make_chunk(0, {0, 500}), make_chunk(0, {500, 500}), make_chunk(1, {30, 70}), make_chunk(2, {999, 1})});
  const Store whole = Store::open(folder / "whole.db", Access::read);
  int number = 0;
  for (const auto& inputs : {std::vector{folder / "a.db", folder / "b.db"}, std::vector{folder / "b.db", folder / "a.db"}}) {
    const std::string output = folder / ("merged" + std::to_string(number++) + ".db");
    merge(inputs, output);
    const Store merged = Store::open(output, Access::read);
    EXPECT_EQ(digest_of(merged.chunks()), digest_of(whole.chunks()));
    EXPECT_EQ(test::rows_of(merged), test::rows_of(whole));
  }
}

TEST(Merge, FindsEveryConflictAndLeavesNothing) {
  const Folder folder;
  const Plan plan = make_plan(2, 1000);
  const std::string a = folder / "a.db", b = folder / "b.db", c = folder / "c.db";
  make_study(a, plan, {make_chunk(1, {0, 100}), make_chunk(1, {100, 100})});
  const auto refused = [&](const std::vector<Chunk>& chunks) {
    std::filesystem::remove(b);
    make_study(b, plan, chunks);
    std::string message = message_of<DamagedFileError>([&] { merge({a, b}, c); });
    EXPECT_EQ(message_of<DamagedFileError>([&] { merge({b, a}, c); }).empty(), false);
    EXPECT_EQ(folder.files(), 2u);
    for (const std::string& name : {a, b}) EXPECT_NE(message.find(name), std::string::npos) << message;
    EXPECT_NE(message.find("cell 1"), std::string::npos) << message;
    return message;
  };
  Chunk wrong = make_chunk(1, {100, 100});
  wrong.columns[2].bits[7] ^= 1;
  EXPECT_NE(refused({wrong}).find("bias of seed 108"), std::string::npos);
  wrong = make_chunk(1, {0, 200});
  wrong.columns[3].bits[150] ^= 1;
  EXPECT_NE(refused({wrong}).find("return_at_update_10 of seed 151"), std::string::npos);
  // Equal columns whose digests differ: what was not recorded differs.
  wrong = make_chunk(1, {100, 100});
  wrong.digest += 1;
  EXPECT_NE(refused({wrong}).find("digest"), std::string::npos);
  wrong = make_chunk(1, {0, 200});
  wrong.digest += 1;
  EXPECT_NE(refused({wrong}).find("digest"), std::string::npos);
  wrong = make_chunk(1, {0, 100});
  wrong.columns.pop_back();
  EXPECT_NE(refused({wrong}).find("columns"), std::string::npos);
  // No whole chunks make up replicas 0 to 249.
  EXPECT_NE(refused({make_chunk(1, {150, 100})}).find("overlap"), std::string::npos);
}

TEST(Merge, RefusesOtherStudiesAndExistingFiles) {
  const Folder folder;
  const std::string a = folder / "a.db", b = folder / "b.db", c = folder / "c.db", d = folder / "d.db";
  make_study(a, make_plan(2, 1000), {make_chunk(0, {0, 10})});
  make_study(b, make_plan(2, 1001), {make_chunk(0, {10, 10})});
  EXPECT_NE(message_of<DamagedFileError>([&] { merge({a, b}, d); }).find("different studies"), std::string::npos);
  {
    Store store = Store::create(c, make_plan(2, 1000), {});
    Provenance run = make_run();
    run.numerics_version = 2;
    store.begin_run(run);
    store.append(make_chunk(0, {10, 10}));
  }
  EXPECT_NE(message_of<DamagedFileError>([&] { merge({a, c}, d); }).find("numerics_version 1 and 2"), std::string::npos);
  EXPECT_THROW(merge({}, d), ConfigurationError);
  EXPECT_THROW(merge({a}, a), FileError);
  EXPECT_THROW(merge({a, folder / "none.db"}, d), FileError);
  test::write_all(folder / "text.db", "text");
  EXPECT_THROW(merge({a, folder / "text.db"}, d), DamagedFileError);
  const std::uint64_t before = test::everything(Store::open(a, Access::read));
  EXPECT_THROW(merge({a, c}, folder / "text.db"), FileError);
  EXPECT_EQ(test::read_all(folder / "text.db"), "text");
  EXPECT_EQ(test::everything(Store::open(a, Access::read)), before);
  EXPECT_EQ(folder.files(), 4u);
}

}  // namespace
}  // namespace fryer::study
