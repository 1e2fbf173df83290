"""Commands of `privsynth --server URL`: what a service does for a person, as the command line does it here."""

from __future__ import annotations

from privsynth.cli.terminal.lazy import Lazy

_ROOM = "privsynth.cli.remote"
SERVER_COMMANDS: dict[str, Lazy] = {
    name: Lazy(f"{_ROOM}.{target}", told, "client")
    for name, target, told in (
        ("synthesize", "synthesize:command", "Ask for a release, and follow it until it is made."),
        ("plan", "synthesize:plan", "Show what releases of a source would cost and resolve."),
        ("sources", "sources:command", "List, register, upload, declare and retire sources."),
        ("runs", "runs:command", "List, show, follow and cancel runs."),
        ("status", "decisions:status", "Verify a release, and show who decided what on it."),
        ("approve", "decisions:approve", "Decide on a release, with your key on the service."),
        ("publish", "decisions:publish", "Publish the approved edition of a release."),
        ("revoke", "decisions:revoke", "Revoke a release."),
        ("offers", "offers:command", "List, make and withdraw offers of a published edition."),
        ("download", "offers:download", "Download a published edition into a new folder."),
        ("budget", "oversight:budget", "Show what each dataset has spent and has left."),
        ("record", "oversight:record", "Read the record of acts, and check it."),
        ("people", "people:command", "List people, invite them, change their roles, end their access."),
        ("keys", "people:keys", "List the keys of people, enter them in the keyring, revoke them."),
        ("me", "oversight:me", "Show whose token this is, and what it is for."),
    )
}
