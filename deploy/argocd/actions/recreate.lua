-- Every LiveKit object of the number is deleted and made anew: new IDs, calls may be lost for a moment.
local os = require("os")
obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["byoc.talkifai.dev/recreate"] = os.date("!%Y-%m-%dT%XZ")
return obj
