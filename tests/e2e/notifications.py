"""A desktop that shows notices, for tests: claims org.freedesktop.Notifications on the session's bus and writes each Notify call
to standard output as a line of JSON; the first line is "ready"."""
import json

import dbus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

NAME = "org.freedesktop.Notifications"


class Desktop(dbus.service.Object):
    @dbus.service.method(NAME, in_signature="susssasa{sv}i", out_signature="u")
    def Notify(self, app, replaces, icon, summary, body, actions, hints, timeout):
        print(json.dumps([str(app), int(replaces), str(icon), str(summary), str(body), list(actions), dict(hints), int(timeout)]), flush=True)
        return 7


dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
bus = dbus.SessionBus()
name = dbus.service.BusName(NAME, bus)
desktop = Desktop(bus, "/org/freedesktop/Notifications")
print("ready", flush=True)
GLib.MainLoop().run()
