// SPDX-License-Identifier: Apache-2.0
// Numbers as bytes, little-endian, for files and for messages between processes; and reading them back from bytes that may hold anything.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace fryer {

static_assert(std::endian::native == std::endian::little, "swap the bytes of numbers on a big-endian machine");

template <class Number>
void put(std::string& bytes, Number number) {
  char raw[sizeof number];
  std::memcpy(raw, &number, sizeof number);
  bytes.append(raw, sizeof raw);
}

// Their count and their bytes.
template <class Number>
void put_all(std::string& bytes, const std::vector<Number>& numbers) {
  static_assert(std::is_trivially_copyable_v<Number>);
  put(bytes, std::uint64_t{numbers.size()});
  bytes.append(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(Number));
}

// Takes bytes from the front and never reads beyond the end. `name` is what messages say is damaged.
class Reader {
 public:
  Reader(std::string_view bytes, std::string name) : rest_(bytes), name_(std::move(name)) {}

  // All of these throw DamagedFileError.
  [[noreturn]] void damaged(const std::string& what) const;
  std::string_view take(std::uint64_t count);
  template <class Number>
  Number number() {
    Number result;
    std::memcpy(&result, take(sizeof result).data(), sizeof result);
    return result;
  }
  std::size_t left() const { return rest_.size(); }

  // What put_all() put.
  template <class Number>
  std::vector<Number> all() {
    static_assert(std::is_trivially_copyable_v<Number>);
    const auto count = number<std::uint64_t>();
    if (count > rest_.size() / sizeof(Number)) damaged("a count is too large");
    std::vector<Number> numbers(count);
    const std::string_view raw = take(count * sizeof(Number));
    if (count != 0) std::memcpy(static_cast<void*>(numbers.data()), raw.data(), raw.size());
    return numbers;
  }

 private:
  std::string_view rest_;
  std::string name_;
};

}  // namespace fryer
