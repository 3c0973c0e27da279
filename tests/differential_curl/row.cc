#include "tests/differential_curl/row.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace uaio {

void Scene::wait() {
    pollfd entry{driver.socket(), POLLIN, 0};
    if (::poll(&entry, 1, 10'000) != 1) note("nothing came");
}

void Scene::readable() {
    pollfd entry{driver.socket(), POLLIN, 0};
    note(::poll(&entry, 1, 0) == 1 ? "readable" : "not readable");
}

void Scene::note_end(SocketLine& peer) {
    pollfd entry{peer.socket().fd(), POLLRDHUP, 0};
    note(::poll(&entry, 1, 500) == 1 ? "ended" : "open");
}

void Scene::wait_for_end() {
    pollfd entry{driver.socket(), POLLRDHUP, 0};
    if (::poll(&entry, 1, 10'000) != 1) note("no end arrived");
}

void Scene::wait_for_bytes(int size) {
    // Makes poll(2) report the socket readable only at `size` bytes, or the end.
    ::setsockopt(driver.socket(), SOL_SOCKET, SO_RCVLOWAT, &size, sizeof size);
    wait();
    int there = 0;
    ::ioctl(driver.socket(), FIONREAD, &there);
    if (there < size) note("too few bytes arrived");
    const int one = 1;
    ::setsockopt(driver.socket(), SOL_SOCKET, SO_RCVLOWAT, &one, sizeof one);
}

void Scene::send_all(std::string_view bytes, SocketLine& peer, std::size_t sent) {
    std::string last;
    for (int round = 0; round < 50'000 && sent < bytes.size(); ++round) {
        last = driver.send(bytes.substr(sent));
        if (last.starts_with("0,")) {
            sent += std::stoul(last.substr(2));
        } else if (last != "81,0" || !driver.wait_to_send([&] { peer.take(); })) {
            break;
        }
    }
    note(last.substr(0, last.find(',')) + ", " + std::to_string(sent) + " in all");
}

std::string Scene::read_at(Line& peer, std::size_t size) const {
    auto read = std::async(std::launch::async, [&] { return peer.read(size); });
    while (read.wait_for(std::chrono::seconds(0)) != std::future_status::ready)
        driver.turn();
    return read.get();
}

}  // namespace uaio
