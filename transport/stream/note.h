// A provider's note about an operation, in the scratch bytes of its Aio: from its starter, once
// that has read its argument, to its end. Engine's thread.
#pragma once

#include <uaio/provider.h>

#include <new>
#include <type_traits>

namespace uaio {

template <class Note>
void put_note(Aio& aio, const Note& note) noexcept {
    struct Stored {  // Note itself may be a pointer, whose size clang-tidy takes for a mistake
        Note note;
    };
    static_assert(sizeof(Stored) <= decltype(Provider::scratch(aio))::extent);
    static_assert(alignof(Note) <= alignof(void*), "see Aio::scratch_");
    static_assert(std::is_trivially_destructible_v<Note>, "the Aio has ended without its provider");
    ::new (static_cast<void*>(Provider::scratch(aio).data())) Note(note);
}

// REQUIRES: put_note<Note>() in this operation.
template <class Note>
Note& note_in(Aio& aio) noexcept {
    return *std::launder(reinterpret_cast<Note*>(Provider::scratch(aio).data()));
}

}  // namespace uaio
