-- The operator replaces the number's LiveKit objects in place. IDs stay, and running calls go on.
local os = require("os")
obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["byoc.talkifai.dev/refresh"] = os.date("!%Y-%m-%dT%XZ")
return obj
