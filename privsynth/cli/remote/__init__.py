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
        ("runs", "runs:command", "List, show, follow, answer and cancel runs."),
        ("schedules", "schedules:command", "Plan, make, list, pause, resume and end schedules."),
        ("status", "decisions:status", "Verify a release, and show who decided what on it."),
        ("approve", "decisions:approve", "Decide on a release, with your key on the service."),
        ("decisions", "decisions:decisions", "Decide with a key that you have elsewhere."),
        ("report", "decisions:report", "Fetch the public or the officer's report of a release."),
        ("publish", "decisions:publish", "Publish the approved edition of a release."),
        ("revoke", "decisions:revoke", "Revoke a release."),
        ("offers", "offers:command", "List, make and withdraw offers of a published edition."),
        ("download", "offers:download", "Download a published edition into a new folder."),
        ("budget", "oversight:budget", "Show what each dataset has spent and has left."),
        ("overview", "oversight:overview", "Show what waits for you."),
        ("record", "oversight:record", "Read the record of acts, and check it."),
        ("retention", "retention:retention", "List what is kept, hold it, delete it, fetch certificates."),
        ("erasure", "retention:erasure", "Answer requests for erasure, and fetch signed answers."),
        ("webhooks", "webhooks:command", "List, register, try out, switch and remove webhooks."),
        ("people", "people:command", "List people, invite them, change their roles, end their access."),
        ("keys", "people:keys", "List the keys of people, enter them in the keyring, revoke them."),
        ("tokens", "people:tokens", "List your tokens, and end them."),
        ("me", "oversight:me", "Show whose token this is, and what it is for."),
    )
}
