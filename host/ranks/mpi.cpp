// SPDX-License-Identifier: Apache-2.0
// See ranks.h: ranks that MPI connects, and the only file that knows MPI. One thread calls it. Sums are MPI_Allreduce of 64-bit integers, exact in
// any order. MPI's own errors end all ranks, as is its default.
#include <fmt/format.h>
#include <mpi.h>
#include <sched.h>

#include <algorithm>
#include <list>
#include <new>
#include <thread>
#include <vector>

#include "host/ranks/launcher.h"
#include "host/ranks/ranks.h"

namespace fryer::ranks {
namespace {

// A message is its size, then its bytes in pieces that an int can count.
constexpr int kSizeTag = 1, kBytesTag = 2;
constexpr std::uint64_t kPiece = std::uint64_t{1} << 30;

class MpiRanks final : public Ranks {
 public:
  explicit MpiRanks(const Place& place) : Ranks(place) {}

  // All ranks come here, unless one aborts. Those that wait for the root sleep: it may compute for long.
  ~MpiRanks() override {
    while (!sent_all()) drain();
    MPI_Request barrier;
    MPI_Ibarrier(MPI_COMM_WORLD, &barrier);
    for (int over = 0;;) {
      MPI_Test(&barrier, &over, MPI_STATUS_IGNORE);
      if (over) break;
      drain();
    }
    MPI_Finalize();
  }

  void sum(std::span<std::int64_t> numbers) override {
    for (std::size_t begin = 0; begin < numbers.size(); begin += kPiece / 8) {
      const int count = static_cast<int>(std::min<std::size_t>(numbers.size() - begin, kPiece / 8));
      // Of unsigned numbers, which may wrap: the same bits.
      MPI_Allreduce(MPI_IN_PLACE, numbers.data() + begin, count, MPI_UINT64_T, MPI_SUM, MPI_COMM_WORLD);
    }
  }

  void broadcast(std::string& bytes, int from) override {
    std::uint64_t size = bytes.size();
    MPI_Bcast(&size, 1, MPI_UINT64_T, from, MPI_COMM_WORLD);
    bytes.resize(size);
    for (std::uint64_t begin = 0; begin < size; begin += kPiece)
      MPI_Bcast(bytes.data() + begin, piece(size, begin), MPI_BYTE, from, MPI_COMM_WORLD);
  }

  void send(int to, std::string bytes) override {
    sent_all();
    Sending& sending = sending_.emplace_back();
    sending.size = bytes.size();
    sending.bytes = std::move(bytes);
    MPI_Isend(&sending.size, 1, MPI_UINT64_T, to, kSizeTag, MPI_COMM_WORLD, &sending.requests.emplace_back());
    for (std::uint64_t begin = 0; begin < sending.size; begin += kPiece) {
      MPI_Isend(sending.bytes.data() + begin, piece(sending.size, begin), MPI_BYTE, to, kBytesTag, MPI_COMM_WORLD,
                &sending.requests.emplace_back());
    }
  }

  std::optional<Message> receive() override {
    sent_all();
    int there = 0;
    MPI_Status status;
    MPI_Iprobe(MPI_ANY_SOURCE, kSizeTag, MPI_COMM_WORLD, &there, &status);
    if (!there) return std::nullopt;
    const int from = status.MPI_SOURCE;
    std::uint64_t size = 0;
    MPI_Recv(&size, 1, MPI_UINT64_T, from, kSizeTag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    Message message{from, {}};
    try {
      message.bytes.resize(size);
    } catch (const std::bad_alloc&) {  // its sender would wait for ever
      fmt::print(stderr, "fryer: error: rank {}: no memory for {} bytes from rank {}\n", rank(), size, from);
      abort(1);
    }
    for (std::uint64_t begin = 0; begin < size; begin += kPiece)
      MPI_Recv(message.bytes.data() + begin, piece(size, begin), MPI_BYTE, from, kBytesTag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    return message;
  }

 private:
  void end_all(int code) override { MPI_Abort(MPI_COMM_WORLD, code); }

  struct Sending {
    std::uint64_t size = 0;
    std::string bytes;
    std::vector<MPI_Request> requests;
  };
  static int piece(std::uint64_t size, std::uint64_t begin) { return static_cast<int>(std::min(size - begin, kPiece)); }

  // What nobody heeds any more: its sender waits until it is taken.
  void drain() {
    while (receive()) continue;
    std::this_thread::sleep_for(kBetweenLooks);
  }

  // Forgets what has left. Whether that was all.
  bool sent_all() {
    std::erase_if(sending_, [](Sending& sending) {
      int over = 0;
      MPI_Testall(static_cast<int>(sending.requests.size()), sending.requests.data(), &over, MPI_STATUSES_IGNORE);
      return over != 0;
    });
    return sending_.empty();
  }

  std::list<Sending> sending_;  // whose addresses MPI knows
};

}  // namespace

std::unique_ptr<Ranks> join_ranks(int& count, char**& words) {
  const int launched = ranks_of_launcher();
  if (launched <= 1) return nullptr;
  int threads = 0;
  MPI_Init_thread(&count, &words, MPI_THREAD_FUNNELED, &threads);
  Ranks::Place place;
  MPI_Comm_rank(MPI_COMM_WORLD, &place.rank);
  MPI_Comm_size(MPI_COMM_WORLD, &place.ranks);
  if (place.ranks != launched) {
    MPI_Finalize();
    throw ConfigurationError(fmt::format(
        "the launcher started {} ranks, of which {} sees {}: it is the launcher of another MPI; start fryer with its own",
        launched, mpi_library(), place.ranks));
  }
  if (threads < MPI_THREAD_FUNNELED) {
    MPI_Finalize();
    throw ConfigurationError(fmt::format("{} cannot run beside other threads (MPI_THREAD_FUNNELED)", mpi_library()));
  }
  MPI_Comm machine;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, place.rank, MPI_INFO_NULL, &machine);
  MPI_Comm_rank(machine, &place.local_rank);
  MPI_Comm_size(machine, &place.local_ranks);
  place.machine = place.rank;
  MPI_Bcast(&place.machine, 1, MPI_INT, 0, machine);
  cpu_set_t processors;
  CPU_ZERO(&processors);
  ::sched_getaffinity(0, sizeof processors, &processors);  // of more processors than a mask has: none
  MPI_Allreduce(MPI_IN_PLACE, &processors, sizeof processors, MPI_BYTE, MPI_BOR, machine);
  place.local_processors = CPU_COUNT(&processors);
  MPI_Comm_free(&machine);
  return std::make_unique<MpiRanks>(place);
}

std::string mpi_library() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING];
  int length = 0;
  MPI_Get_library_version(text, &length);  // may be asked before MPI is started
  std::string version(text, static_cast<std::size_t>(std::max(length, 0)));
  version.resize(std::min(version.find_first_of(",\n"), version.size()));
  const std::size_t name = version.find(" Version:");  // "MPICH Version:\t4.0.2"
  const std::size_t number = name == std::string::npos ? name : version.find_first_not_of(" \t", name + 9);
  if (number != std::string::npos) version.replace(name + 1, number - name - 1, "");
  return version;
}

}  // namespace fryer::ranks
