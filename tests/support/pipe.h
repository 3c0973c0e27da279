// Two streams joined in memory, without a kernel: a test inspects every byte in transit, and
// decides where the bytes are cut into reads, where they end, and how many are in flight. Only on
// the engine's thread.
#pragma once

#include <uaio/provider.h>
#include <uaio/stream.h>

#include <cstddef>
#include <string>

namespace uaio {

// One direction.
class Pipe {
public:
    static constexpr std::size_t kNever = SIZE_MAX;

    // All bytes written, read or not.
    const std::string& taken() const { return taken_; }
    // A read ends at this offset; the next one continues there.
    void split_at(std::size_t offset) { split_ = offset; }
    // The most bytes in each read.
    void pieces_of(std::size_t bytes) { piece_ = bytes; }
    // The reader gets the end, or this error, at this offset; bytes written after it are lost.
    void cut_at(std::size_t offset, std::error_code error = Errc::end_of_stream) {
        cut_ = offset;
        cut_error_ = error;
        move();
    }
    // How many bytes in all the pipe accepts before a write must wait.
    void limit(std::size_t bytes) {
        limit_ = bytes;
        move();
    }
    // Reserves memory for this many bytes in all.
    void reserve(std::size_t bytes) { taken_.reserve(bytes); }
    // Injects bytes that the writer did not write.
    void insert(const std::string& bytes) {
        taken_ += bytes;
        move();
    }
    bool write_ended() const { return write_ended_; }

private:
    friend class PipeStream;

    static void start_read(Aio& aio) noexcept;
    static void start_read_all(Aio& aio) noexcept;
    static void start_write(Aio& aio) noexcept;
    static void start_write_all(Aio& aio) noexcept;
    static void on_cancel(Aio& aio) noexcept;
    static bool refused(Aio& aio, bool closed) noexcept;

    void move();
    bool move_in();
    bool move_out();
    void end_write();
    void close_reader();

    std::string taken_;
    std::size_t given_ = 0;
    std::size_t split_ = kNever;
    std::size_t piece_ = kNever;
    std::size_t cut_ = kNever;
    std::size_t limit_ = kNever;
    std::error_code cut_error_;
    AioQueue writes_;
    AioQueue reads_;
    bool write_ended_ = false;
    bool reader_closed_ = false;
};

class PipeStream final : public Stream {
public:
    // The pipes, and every Aio that it was given, must outlive it.
    PipeStream(Engine& engine, Pipe& in, Pipe& out) : engine_(engine), in_(in), out_(out) {}
    ~PipeStream() override { close(); }

    void read(Aio& aio) override { submit(aio, &Pipe::start_read, in_); }
    void read_all(Aio& aio) override { submit(aio, &Pipe::start_read_all, in_); }
    void write(Aio& aio) override { submit(aio, &Pipe::start_write, out_); }
    void write_all(Aio& aio) override { submit(aio, &Pipe::start_write_all, out_); }
    void close() noexcept override;
    int native_handle() const noexcept override { return -1; }

private:
    void submit(Aio& aio, Starter starter, Pipe& pipe) {
        Provider::submit(engine_, aio, starter, &pipe);
    }

    Engine& engine_;
    Pipe& in_;
    Pipe& out_;
};

}  // namespace uaio
