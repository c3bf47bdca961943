-- Which nodes can build what has no Dockerfile: the version of their nixpacks, empty where there is none.
ALTER TABLE nodes ADD COLUMN nixpacks_version text NOT NULL DEFAULT '' CHECK (length(nixpacks_version) <= 64);
