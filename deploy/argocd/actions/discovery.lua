-- The actions that a ByocPhoneNumber offers now. The user interface shows the others greyed out.
local annotations = obj.metadata.annotations or {}
local value = annotations["byoc.talkifai.dev/paused"]
local paused = value == "true" or value == "True"
local deleting = obj.metadata.deletionTimestamp ~= nil
-- Under Observe the operator never writes to LiveKit, so refresh and recreate are not offered.
local observes = obj.spec.managementPolicy == "Observe"
local idle = paused or deleting or observes

local actions = {}
actions["refresh"] = { ["disabled"] = idle, ["displayName"] = "Refresh", ["iconClass"] = "fa fa-fw fa-sync" }
actions["recreate"] = { ["disabled"] = idle, ["displayName"] = "Recreate (new IDs)", ["iconClass"] = "fa fa-fw fa-recycle" }
actions["pause"] = { ["disabled"] = paused or deleting, ["displayName"] = "Pause", ["iconClass"] = "fa fa-fw fa-pause" }
actions["resume"] = { ["disabled"] = deleting or not paused, ["displayName"] = "Resume", ["iconClass"] = "fa fa-fw fa-play" }
return actions
