-- Every LiveKit object of the number is replaced in place; IDs and running calls stay.
local os = require("os")
obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["byoc.talkifai.dev/refresh"] = os.date("!%Y-%m-%dT%XZ")
return obj
