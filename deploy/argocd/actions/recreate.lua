-- The operator deletes the number's LiveKit objects and creates new ones. IDs change, and calls may fail for a moment.
local os = require("os")
obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["byoc.talkifai.dev/recreate"] = os.date("!%Y-%m-%dT%XZ")
return obj
