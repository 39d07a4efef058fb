// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What the program prints holds texts of other people: names of tensors and files, tokens, prompts. None of them may
// reach the terminal as commands (printable() in common/text.h), wherever in the program it is printed.
#pragma once

#include <ostream>
#include <streambuf>
#include <string>

namespace tributary {

/// Stands before a stream's own buffer, and writes what is put into the stream in its printable form. Goes with its
/// scope.
class PrintableStream : public std::streambuf {
 public:
  explicit PrintableStream(std::ostream& stream);
  ~PrintableStream() override;
  PrintableStream(const PrintableStream&) = delete;
  PrintableStream& operator=(const PrintableStream&) = delete;

  /// The buffer of a stream for texts of our own that are meant for a terminal: without what may stand before it.
  static std::streambuf* unfiltered(const std::ostream& stream);

 private:
  int_type overflow(int_type character) override;
  std::streamsize xsputn(const char* text, std::streamsize size) override;
  int sync() override;

  std::ostream& stream_;
  std::streambuf* below_;
  std::string pending_;  // the beginning of a character whose other bytes are to come
};

}  // namespace tributary
